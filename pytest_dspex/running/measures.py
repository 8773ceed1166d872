"""What makes the scores of a test: its code, its metrics, and the functions of the project that these use.

A baseline is comparable only as long as scores are measured in the same way. What can be known without running code is
read from it: names in compiled functions, and the text that defines them. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import sys
import sysconfig
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from pytest_dspex.running.code_texts import code_text, module_tree
from pytest_dspex.running.scoring_calls import scoring_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_OURS = ("dspex_core", "pytest_dspex")
_STANDARD = Path(sysconfig.get_paths()["stdlib"])
_INSTALLED = ("site-packages", "dist-packages")


def measure_texts(
    function: Callable[..., Any],
    metrics: Iterable[Callable[..., Any]],
    *,
    fixtures: Mapping[str, Any],
    data_text: Callable[[Any], str],
) -> list[str]:
    """Return the texts on which the scores of a test depend, its program aside.

    Args:
        function: The test function.
        metrics: The metrics that are computed for it.
        fixtures: The values of its fixtures that are not programs.
        data_text: Returns any value as a text that is the same in every process.
    """
    measures = _Measures(data_text)
    for metric in metrics:
        measures.add(metric)
    found = inspect.unwrap(function)
    if isinstance(found, FunctionType):
        names = {**found.__globals__, **fixtures}
        for call in scoring_calls(found):
            value = _resolved(call, names)
            if callable(value):
                measures.add(value)
    return [code_text(function), *measures.texts]


class _Measures:
    """Collects the texts of functions and classes, and of all in the project that they use by name."""

    def __init__(self, data_text: Callable[[Any], str]) -> None:
        self.texts: list[str] = []
        self._data_text = data_text
        self._seen: dict[int, Any] = {}  # by identity, each kept alive
        self._named = set[tuple[str, str]]()

    def add(self, value: Any) -> None:
        if id(value) in self._seen:
            return
        self._seen[id(value)] = value
        match value:
            case functools.partial():
                self.add(value.func)
                self._hold([*value.args, *value.keywords.items()])
            case MethodType():
                self.add(value.__func__)
                self.add(value.__self__)
            case FunctionType():
                self._function(inspect.unwrap(value))
            case type():
                self._class(value)
            case ModuleType():
                pass
            case _:
                self.texts.append(self._data_text(value))
                self._class(type(value))

    def _function(self, function: Any) -> None:
        if not isinstance(function, FunctionType):
            self.add(function)
            return
        self._hold(cell.cell_contents for cell in function.__closure__ or () if _is_bound(cell))
        if not _is_of_project(function.__code__.co_filename):
            self.texts.append(function.__qualname__)  # an update of a library is not an edit of the user's
            return
        self.texts.append(code_text(function))
        names = list(_names(function.__code__))
        for name in names:
            if name in function.__globals__:
                self._use(name, function.__globals__, names)

    def _class(self, kind: type) -> None:
        for each in kind.__mro__:
            module = sys.modules.get(each.__module__)
            file = getattr(module, "__file__", None)  # built-in modules have none
            if file is None or not _is_of_project(file):
                continue
            self.texts.append(code_text(each))
            for member in vars(each).values():
                function = inspect.unwrap(getattr(member, "__func__", getattr(member, "fget", member)))
                if isinstance(function, FunctionType):
                    self.add(function)

    def _hold(self, values: Iterable[Any]) -> None:
        for value in values:
            if callable(value):
                self.add(value)
            else:
                self.texts.append(self._data_text(value))

    def _use(self, name: str, namespace: Mapping[str, Any], others: Iterable[str]) -> None:
        """Follow a global name: to a function or class, to what a module of the project holds, or to its assignment."""
        value = namespace[name]
        if isinstance(value, ModuleType):
            if _is_of_project(value.__dict__.get("__file__") or ""):
                for other in others:
                    if other in value.__dict__ and (value.__name__, other) not in self._named:
                        self._named.add((value.__name__, other))
                        self._use(other, value.__dict__, others)
        elif isinstance(value, FunctionType | MethodType | type | functools.partial):
            self.add(value)
        else:
            self.texts.extend(_assignments(name, namespace))
            if callable(value):
                self._class(type(value))


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names of globals and attributes that code uses, with those of the functions in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _assignments(name: str, namespace: Mapping[str, Any], depth: int = 5) -> Iterator[str]:
    """Yield the texts that assign a global name, in its module or in that from which it is imported.

    The text and not the value: what a module reads from a file or a server is not a part of the code.
    """
    file = namespace.get("__file__")
    if not file or not depth or not _is_of_project(file):
        return
    for node in module_tree(file).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    package = namespace.get("__package__") or None
                    dotted = "." * node.level + (node.module or "")
                    module = sys.modules.get(importlib.util.resolve_name(dotted, package) if node.level else dotted)
                    yield from _assignments(alias.name, vars(module) if module else {}, depth - 1)
        elif name in _assigned(node):
            yield ast.dump(node)


def _assigned(node: ast.stmt) -> set[str]:
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets = [node.target]
    return {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}


def _resolved(expression: ast.expr, names: Mapping[str, Any]) -> Any:
    """Return what a name, or the attribute of one, stands for; `None` if that is not known."""
    if isinstance(expression, ast.Name):
        return names.get(expression.id)
    if isinstance(expression, ast.Attribute):
        holder = _resolved(expression.value, names)
        return None if holder is None else inspect.getattr_static(holder, expression.attr, None)
    return None


def _is_bound(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018  raises for a name that is bound later
    except ValueError:
        return False
    return True


@functools.lru_cache(maxsize=256)
def _is_of_project(file: str) -> bool:
    path = Path(file)
    if not path.is_absolute() or any(part in _INSTALLED for part in path.parts):
        return False
    return not path.is_relative_to(_STANDARD) and path not in _our_files()


@functools.lru_cache(maxsize=1)
def _our_files() -> frozenset[Path]:
    return frozenset(
        file for name in _OURS for folder in sys.modules[name].__path__ for file in Path(folder).rglob("*.py")
    )
