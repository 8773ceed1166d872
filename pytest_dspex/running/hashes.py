"""Hashes of what a case was measured on and with: its row, its test's code, its program, its LM. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dspex.gates.records import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_dspex.collecting.case import Case
    from pytest_dspex.running.trace import Made

_SHORT = 12  # characters of a hash
_KNOWN = pytest.StashKey[dict[int, tuple[object, str]]]()  # by the id of the program or function, which is kept alive


def hashes_of(item: pytest.Item, case: Case, made: Sequence[Made], *, row: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes of a case that has run."""
    values = item.funcargs if isinstance(item, pytest.Function) else {}
    programs = [values[spec.name] for spec in case.programs if spec.name in values]
    return {
        "row": _hash(_json(row)),
        "program": _hash(*(_known(item, program, _program_text) for program in programs)) if programs else "",
        "metric": _known(item, item.function, _code) if isinstance(item, pytest.Function) else "",
        "lm": ", ".join(sorted({f"{call.model} {_hash(_json(dict(call.request.config)))[:6]}" for call in made})),
    }


def _known(item: pytest.Item, value: Any, text_of: Callable[[Any], str]) -> str:
    """Return the hash of a program or a function, which all cases of a session share."""
    known = item.config.stash.setdefault(_KNOWN, {})
    if id(value) not in known:
        known[id(value)] = (value, _hash(text_of(value)))
    return known[id(value)][1]


def _hash(*texts: str) -> str:
    return digest(texts)[:_SHORT]


def _json(value: Any) -> str:
    from dspex_core.plugin_api import to_json  # imported only in sessions with baselines

    try:
        return json.dumps(to_json(value), sort_keys=True)
    except Exception:  # noqa: BLE001  the values are the user's, and so is the code that shows them
        return repr(type(value))


def _program_text(program: Any) -> str:
    """Return what makes a program answer as it does: its state, or the code of a function."""
    from dspex_core import Module  # as above

    if isinstance(program, Module):
        return f"{type(program).__qualname__} {_json(program.dump_state())}"
    return _code(program)


def _code(function: Any) -> str:
    """Return a function's code without its decorators, comments and layout."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    except (OSError, TypeError, SyntaxError):  # made at run time, or no function
        return getattr(function, "__qualname__", type(function).__qualname__)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.decorator_list = []
    return ast.dump(tree)
