"""The code of functions and classes, with all of the project that they use by name. PYTEST_DONT_REWRITE

What can be known without running code is read from it: names in compiled functions, and the text that defines them.
Installed packages are left out: an update of one is not an edit of the user's.
"""

from __future__ import annotations

import ast
import dis
import functools
import importlib.util
import inspect
import sys
import sysconfig
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from dspex_core.plain.code_texts import class_level_text, code_text, module_tree, tree_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_OURS = ("dspex_core", "pytest_dspex")
_STANDARD = tuple({Path(sysconfig.get_paths()[name]) for name in ("stdlib", "platstdlib")})
_INSTALLED = ("site-packages", "dist-packages")
_GLOBAL = frozenset(("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"))
_CONSTRUCTORS = frozenset(("__init__", "__new__", "__post_init__", "__setstate__"))


class UsedCode:
    """Collects the texts of functions and classes, and of all in the project that they use by name.

    Args:
        data_text: Returns any value that functions hold as a text; without it, values are left aside.
    """

    def __init__(self, data_text: Callable[[Any], str] | None = None) -> None:
        self.parts: list[tuple[str, str]] = []  # the name of what is used, and its text
        self.assigned = set[str]()  # names of attributes and variables that functions assign while they run
        self._data_text = data_text
        self._seen: dict[int, Any] = {}  # by identity, each kept alive
        self._named = set[tuple[str, str]]()

    def add(self, value: Any) -> None:
        """Add a function, a class, or an object with those that it is made of."""
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
                if self._data_text is not None:
                    self.parts.append((type(value).__qualname__, self._data_text(value)))
                self._class(type(value))

    def add_methods(self, kind: type, entries: Iterable[str]) -> None:
        """Add methods of a class, the others that these use by name, and what the class says beside methods."""
        todo, seen = list(entries), set[str]()
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            function = _function_in(inspect.getattr_static(kind, name, None))
            if function is not None and is_of_project(function.__code__.co_filename):
                self.add(function)
                todo += _names(function.__code__)
        for each in kind.__mro__:
            text = class_level_text(each) if is_class_of_project(each) else None
            if text is not None:
                self.parts.append((each.__qualname__, text))
            for name, member in vars(each).items():
                function = _function_in(member)
                if function is not None and name not in _CONSTRUCTORS:
                    self.assigned.update(_assigned_in(function.__code__))

    def _function(self, function: Any) -> None:
        if not isinstance(function, FunctionType):
            self.add(function)
            return
        self._hold(cell.cell_contents for cell in function.__closure__ or () if _is_bound(cell))
        if not is_of_project(function.__code__.co_filename):
            self.parts.append((function.__qualname__, function.__qualname__))
            return
        self.parts.append((function.__qualname__, code_text(function)))
        if function.__name__ not in _CONSTRUCTORS:
            self.assigned.update(_assigned_in(function.__code__))
        names = list(_names(function.__code__))
        for name in _globals_of(function.__code__):
            if name in function.__globals__:
                self._use(name, function.__globals__, names)

    def _class(self, kind: type) -> None:
        for each in kind.__mro__:
            if not is_class_of_project(each):
                continue
            self.parts.append((each.__qualname__, code_text(each)))
            for member in vars(each).values():
                function = _function_in(member)
                if function is not None:
                    self.add(function)

    def _hold(self, values: Iterable[Any]) -> None:
        if self._data_text is None:
            return
        for value in values:
            if callable(value):
                self.add(value)
            else:
                self.parts.append((type(value).__qualname__, self._data_text(value)))

    def _use(self, name: str, namespace: Mapping[str, Any], others: Iterable[str]) -> None:
        """Follow a global name: to a function or class, to what a module of the project holds, or to its assignment."""
        value = namespace[name]
        if isinstance(value, ModuleType):
            if is_of_project(value.__dict__.get("__file__") or ""):
                for other in others:
                    if other in value.__dict__ and (value.__name__, other) not in self._named:
                        self._named.add((value.__name__, other))
                        self._use(other, value.__dict__, others)
        elif isinstance(value, FunctionType | MethodType | type | functools.partial):
            self.add(value)
        else:
            self.parts.extend((name, text) for text in _assignments(name, namespace))
            if callable(value):
                self._class(type(value))


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names of globals and attributes that code uses, with those of the functions in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


@functools.lru_cache(maxsize=1024)
def _globals_of(code: CodeType) -> tuple[str, ...]:
    """Return the names of globals that code reads, in their order, with those of the functions in it.

    `code.co_names` has those of attributes, too: `self.answer` does not use a global `answer`.
    """
    found = [each.argval for each in dis.get_instructions(code) if each.opname in _GLOBAL]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found += _globals_of(constant)
    return tuple(dict.fromkeys(found))


@functools.lru_cache(maxsize=1024)
def _assigned_in(code: CodeType) -> frozenset[str]:
    """Return the attributes, and the variables of functions around it, that code assigns."""
    found = set[str]()
    for instruction in dis.get_instructions(code):
        outer = instruction.opname == "STORE_DEREF" and instruction.argval in code.co_freevars
        if outer or instruction.opname == "STORE_ATTR":
            found.add(instruction.argval)
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset(found.union(*map(_assigned_in, inner)))


def _assignments(name: str, namespace: Mapping[str, Any], depth: int = 5) -> Iterator[str]:
    """Yield the texts that assign a global name, in its module or in that from which it is imported.

    The text and not the value: what a module reads from a file or a server is not a part of the code.
    """
    file = namespace.get("__file__")
    if not file or not depth or not is_of_project(file):
        return
    for node in module_tree(file).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    package = namespace.get("__package__") or None
                    dotted = "." * node.level + (node.module or "")
                    module = sys.modules.get(importlib.util.resolve_name(dotted, package) if node.level else dotted)
                    yield from _assignments(alias.name, vars(module) if module else {}, depth - 1)
        elif name in _targets(node):
            yield tree_text(node)


def _targets(node: ast.stmt) -> set[str]:
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets = [node.target]
    return {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}


def _function_in(member: Any) -> FunctionType | None:
    """Return the function of a method, a static or class method, or a property."""
    function = inspect.unwrap(getattr(member, "__func__", getattr(member, "fget", member)))
    return function if isinstance(function, FunctionType) else None


def is_class_of_project(kind: type) -> bool:
    """Whether a class is defined in a file of the project."""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)  # built-in modules have none
    return file is not None and is_of_project(file)


def _is_bound(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018  raises for a name that is bound later
    except ValueError:
        return False
    return True


@functools.lru_cache(maxsize=1 << 14)  # more than files are imported: remote work asks for all of them in turn
def is_of_project(file: str) -> bool:
    """Whether a file is neither Python's, installed, nor ours."""
    path = Path(file)
    if not path.is_absolute() or any(part in _INSTALLED for part in path.parts):
        return False
    return not any(path.is_relative_to(folder) for folder in _STANDARD) and path not in _our_files()


@functools.lru_cache(maxsize=1)
def _our_files() -> frozenset[Path]:
    packages = [sys.modules[name] for name in _OURS if name in sys.modules]
    return frozenset(file for package in packages for folder in package.__path__ for file in Path(folder).rglob("*.py"))
