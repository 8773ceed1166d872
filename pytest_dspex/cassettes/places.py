"""Where calls are recorded: the cassette of a test or of a shared fixture, and the case in it. PYTEST_DONT_REWRITE

A function-scoped fixture belongs to its test. A fixture of a wider scope serves tests that may be run alone, in
another order or by another worker, so it has a cassette of its own: `cassettes/<file>/fixture-<name>.jsonl`, beside
the file that defines it. A case in it is what the fixture is set up for: the package, module or class, and the
parameters.
"""

from __future__ import annotations

import inspect
import os
import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dspex.collecting.cases import names_of
from pytest_dspex.keys import SIBLINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_FOLDER = "cassettes"
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_XUNIT = re.compile(r"_(?:xunit|unittest)_(\w+?)_fixture_")  # pytest's fixtures for `setup_module` and the like


@dataclass(frozen=True, slots=True)
class Place:
    """Where calls are recorded.

    Args:
        owner: The node id of the test function, or a name of the fixture that no test has.
        cassette: The cassette's path.
        case: The id of the case in the cassette.
        cases: The number of the test function's cases, including those that this session does not run; for a
            fixture `None`, as its cases are not known beforehand.
    """

    owner: str
    cassette: Path
    case: str
    cases: int | None = None


def place_of_test(item: pytest.Item) -> Place:
    """Return where the calls of a test are recorded."""
    function, case = names_of(item)
    return Place(function, _cassette_of(item.path, function), case, len(item.stash.get(SIBLINGS, (item,))))


@lru_cache  # each case of a function asks for the same
def _cassette_of(path: Path, function: str) -> Path:
    name = _file_name(".".join(function.split("::")[1:]))  # classes and the function
    return folder_beside(path) / path.stem / f"{name}.jsonl"


def place_of_fixture(
    definition: pytest.FixtureDef[Any], request: pytest.FixtureRequest, *, function: Callable[..., Any]
) -> Place:
    """Return where the calls of a fixture with a scope wider than a function are recorded.

    `function` is the fixture's own: plugins for async fixtures put another one into the definition.
    """
    path, name = _definition(definition.argname, inspect.unwrap(function), request)
    cassette = folder_beside(path) / path.stem / f"fixture-{_file_name(name)}.jsonl"
    case = "-".join(filter(None, [_scope_of(request, path), *_parameters(definition, request)]))
    return Place(f"fixture {cassette}", cassette, case)


def folder_beside(path: Path) -> Path:
    """Return the folder for the cassettes of a file's tests and fixtures."""
    return path.parent / _FOLDER


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-")


def _definition(fixture: str, function: Callable[..., Any], request: pytest.FixtureRequest) -> tuple[Path, str]:
    """Return the file that defines a fixture and the fixture's name, with its class.

    The folder of an installed plugin is not the user's: its fixtures count as defined at the root of the tests.
    """
    xunit = _XUNIT.match(fixture)
    if xunit is not None:
        return request.path, xunit[1]
    code = function.__code__ if inspect.isfunction(function) or inspect.ismethod(function) else None
    inside = function.__qualname__.rpartition("<locals>.")[2].split(".")[:-1] if code is not None else []
    name = ".".join([*inside, fixture])
    root = request.config.rootpath
    path = Path(code.co_filename) if code is not None else request.path
    if path.is_relative_to(root) and _INSTALLED.isdisjoint(path.relative_to(root).parts):
        return path, name
    is_conftest = path.name == "conftest.py" or path == request.path
    return (path, name) if is_conftest and _INSTALLED.isdisjoint(path.parts) else (root / path.name, name)


def _scope_of(request: pytest.FixtureRequest, path: Path) -> str:
    """Return the package, module or class that a fixture is set up for, relative to the file that defines it."""
    node = request.node
    if isinstance(node, pytest.Session):
        return ""
    inside = node.nodeid.partition("::")[2]
    file = "" if node.path == path else Path(os.path.relpath(node.path, path.parent)).as_posix()
    return "::".join(filter(None, [file, inside]))


def _parameters(definition: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the ids of the parameters of a fixture and of the fixtures that it requests."""
    item = request._pyfuncitem  # noqa: SLF001  there is no public way from a fixture to the test that it is set up for
    callspec = getattr(item, "callspec", None)  # of parametrized functions
    if callspec is None:
        return
    definitions: Mapping[str, Any] = request._arg2fixturedefs  # noqa: SLF001  as above
    todo, seen = [(definition.argname, definition)], set[str]()
    while todo:
        name, each = todo.pop(0)
        if name in seen:
            continue
        seen.add(name)
        if name in callspec.params:
            yield _id_of(name, callspec.params[name], index=callspec.indices[name], definition=each)
        todo += [(other, definitions[other][-1]) for other in each.argnames if definitions.get(other)]


def _id_of(name: str, value: Any, *, index: int, definition: pytest.FixtureDef[Any]) -> str:
    """Return the id that pytest gives a parameter of a fixture."""
    given = definition.params[index] if definition.params is not None and index < len(definition.params) else None
    named: Any = given.id if isinstance(given, type(pytest.param())) else None
    ids = definition.ids
    if named is None and ids is not None:
        named = ids(value) if callable(ids) else ids[index]
    for known in (named, value):
        if isinstance(known, str | int | float | complex | None | Enum) and known is not None:
            return str(known)
    return str(value.__name__) if inspect.isclass(value) or inspect.isfunction(value) else f"{name}{index}"
