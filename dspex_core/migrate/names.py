"""Which names of DSPy a file uses, by its syntax tree alone: nothing is imported or run. PYTEST_DONT_REWRITE

Names are followed through imports, assignments, attributes of `self` and subclasses, as far as one file shows them.
"""

from __future__ import annotations

import ast
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dspex_core.migrate.parity import Parity

IMPORTING = ("import_module", "importorskip", "patch", "setattr")  # functions whose text argument is a path


@dataclass(frozen=True)
class Thing:
    """A module, a name or an object of DSPy that a name of the file stands for.

    Attributes:
        kind: A module of DSPy, a name in one, or an object that a class of DSPy has made.
        module: The module.
        name: The name in the module, with attributes of it behind dots.
        own: The attributes that a subclass in the file defines; None for DSPy's own classes.
        by_star: Whether the name comes from `from module import *`.
    """

    kind: Literal["module", "name", "object"]
    module: str
    name: str = ""
    own: frozenset[str] | None = None
    by_star: bool = False

    @property
    def path(self) -> str:
        """The path, as users write it."""
        return f"{self.module}.{self.name}" if self.name else self.module


@dataclass(frozen=True)
class Use:
    """A place where a file uses DSPy.

    Attributes:
        line: The line, from 1.
        column: The column, from 1.
        thing: The module or the name that is used.
        call: The keyword arguments and the number of positional ones of a call, or None.
        overrides: Whether a subclass defines an attribute of this name.
    """

    line: int
    column: int
    thing: Thing
    call: tuple[tuple[str, ...], int] | None = None
    overrides: bool = False


@dataclass
class _Scope:
    """The names of a module, a class, a function or a comprehension.

    Attributes:
        parent: The scope around it.
        names: The things that its names stand for; None where these are not DSPy's. In a class, also `self.name`.
        is_class: Whether it is the scope of a class.
        made: The objects of the class, if they are DSPy's.
        self_name: The first parameter of the method around, which is the object.
    """

    parent: _Scope | None = None
    names: dict[str, Thing | None] = field(default_factory=dict)
    is_class: bool = False
    made: Thing | None = None
    self_name: str = field(init=False, default="")

    def __post_init__(self) -> None:
        if self.parent is not None:
            self.self_name = self.parent.self_name

    def find(self, name: str) -> Thing | None:
        """Return what a name stands for here. Names of a class are not seen from its methods."""
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.names and (scope is self or not scope.is_class):
                return scope.names[name]
            scope = scope.parent
        return None


def uses_in(trees: list[ast.Module], table: Parity) -> list[Use]:
    """Return the uses of DSPy in a file, or in the cells of a notebook, in the order of the text."""
    reader = _Reader(table)
    for tree in trees:
        reader.visit(tree)
    reader.finish()
    return sorted(reader.uses, key=lambda use: (use.line, use.column, use.thing.path))


class _Reader(ast.NodeVisitor):
    """Walks through the statements in their order; bodies of functions come after everything around them."""

    def __init__(self, table: Parity) -> None:
        self.table = table
        self.uses: list[Use] = []
        self._scope = _Scope()
        self._later: deque[tuple[_Scope, Sequence[ast.AST]]] = deque()
        self._branches = 0

    def finish(self) -> None:
        """Walk through the bodies of the functions."""
        while self._later:
            self._inside(*self._later.popleft())

    # Imports

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.split(".")[0] != "dspy":
                self._bind(alias.asname or alias.name.split(".")[0], None)
                continue
            self._use(alias, Thing("module", alias.name))
            self._bind(alias.asname or "dspy", Thing("module", alias.name if alias.asname else "dspy"))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        for alias in node.names:
            if node.level or module.split(".")[0] != "dspy":
                self._bind(alias.asname or alias.name, None)
            elif alias.name == "*":
                self._use(alias, Thing("module", module))
                names = self.table.modules.get(module, {})
                self._scope.names.update({name: Thing("name", module, name, by_star=True) for name in names})
            else:
                thing = self._member(Thing("module", module), alias.name)
                self._use(alias, thing)
                self._bind(alias.asname or alias.name, thing)

    # Names, attributes and calls

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            thing = self._scope.find(node.id)
            if thing is not None and thing.kind == "name" and thing.own is None:
                self._use(node, thing)
        else:
            self._bind(node.id, None)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        thing = self._value(node)
        if thing is None:
            self.visit(node.value)
            return
        if thing.kind != "object" and isinstance(node.ctx, ast.Load):
            self._use(node, thing)
        self._visit_root(node)

    def _visit_root(self, node: ast.AST) -> None:
        """Visit what an expression with dots begins with, where it is more than a name: a call, for one."""
        while isinstance(node, ast.Attribute):
            node = node.value
        if not isinstance(node, ast.Name):
            self.visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        thing = self._value(node.func)
        named = self._named_in(node)
        if named is not None:
            self._use(node, named)
        if thing is not None and thing.kind == "name" and not self._is_own_constructor(thing):
            self._use(node.func, thing, call=_arguments(node))
            self._visit_root(node.func)
        else:
            self.visit(node.func)
        for part in (*node.args, *node.keywords):
            self.visit(part)

    @staticmethod
    def _is_own_constructor(thing: Thing) -> bool:
        return thing.own is not None and "." not in thing.name

    def _value(self, node: ast.AST) -> Thing | None:
        """Return what an expression stands for, if that is plain."""
        if isinstance(node, ast.Name):
            return self._scope.find(node.id)
        if isinstance(node, ast.Attribute):
            held = self._of_class().names
            if self._is_self(node.value) and (known := held.get(f"self.{node.attr}") or held.get(node.attr)):
                return known
            owner = self._value(node.value)
            return None if owner is None else self._member(owner, node.attr)
        if isinstance(node, ast.Call):
            return self._named_in(node) or self._made_by(node)
        return self._value(node.value) if isinstance(node, ast.NamedExpr) else None

    def _is_self(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id == self._scope.self_name

    def _made_by(self, node: ast.Call) -> Thing | None:
        """Return the object that a call of a class makes."""
        thing = self._value(node.func)
        if thing is None or thing.kind != "name" or "." in thing.name or not thing.name[:1].isupper():
            return None
        return Thing("object", thing.module, thing.name, thing.own)

    def _named_in(self, node: ast.Call) -> Thing | None:
        """Return what a text in a call names, as in `import_module("dspy.utils")` or `getattr(dspy, "LM")`."""
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        texts = [part.value if isinstance(part, ast.Constant) else None for part in node.args[:2]]
        if function == "getattr" and len(texts) > 1 and isinstance(texts[1], str):
            owner = self._value(node.args[0])
            return None if owner is None else self._member(owner, texts[1])
        if function in IMPORTING and texts and isinstance(texts[0], str) and texts[0].split(".")[0] == "dspy":
            thing = Thing("module", "dspy")
            for part in texts[0].split(".")[1:]:
                thing = self._member(thing, part)
            return thing
        return None

    def _member(self, owner: Thing, name: str) -> Thing:
        """Return the attribute of a module, of a class or of an object."""
        if owner.kind == "module":
            path = f"{owner.module}.{name}"
            is_module = name not in self.table.modules.get(owner.module, {}) and path in self.table.modules
            return Thing("module", path) if is_module else Thing("name", owner.module, name)
        return replace(owner, kind="name", name=f"{owner.name}.{name}")

    # What binds names

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self._assign(target, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.annotation)
        if node.value is not None:
            self.visit(node.value)
            self._assign(node.target, node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self._assign(node.target, node.value)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for each, part in zip(target.elts, value.elts, strict=True):
                self._assign(each, part)
            return
        if isinstance(target, ast.Name):
            self._bind(target.id, self._value(value))
        elif isinstance(target, ast.Attribute) and self._is_self(target.value):
            self._of_class().names[f"self.{target.attr}"] = self._value(value)
        else:
            self.visit(target)

    def _of_class(self) -> _Scope:
        """Return the scope of the class around a method, where attributes of `self` are kept."""
        scope = self._scope
        while scope.parent is not None and not scope.is_class:
            scope = scope.parent
        return scope

    def _bind(self, name: str, thing: Thing | None) -> None:
        """Let a name stand for something from here on; a branch does not unbind what another one has bound."""
        if thing is not None or not self._branches:
            self._scope.names[name] = thing
        else:
            self._scope.names.setdefault(name, None)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._bind(node.name, None)
        self.generic_visit(node)

    def _in_branches(self, node: ast.If | ast.Try | ast.TryStar | ast.Match) -> None:
        self._branches += 1
        self.generic_visit(node)
        self._branches -= 1

    visit_If = visit_Try = visit_TryStar = visit_Match = _in_branches  # noqa: N815  ast's names

    # Classes and functions

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        base = next((thing for each in node.bases if (thing := self._value(each)) and thing.kind == "name"), None)
        own = frozenset(_defined_in(node.body)) | ((base.own or frozenset()) if base else frozenset())
        thing = None if base is None else Thing("name", base.module, base.name, own)
        self._bind(node.name, thing)
        if thing is not None:
            self._note_overrides(node, thing)
        made = None if thing is None else replace(thing, kind="object")
        self._inside(_Scope(self._scope, is_class=True, made=made), node.body)

    def _note_overrides(self, node: ast.ClassDef, thing: Thing) -> None:
        for part in node.body:
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                overridden = Thing("name", thing.module, f"{thing.name}.{part.name}")
                if part.name in self.table.facts(thing.module, thing.name).missing:
                    self._use(part, overridden, overrides=True)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for part in (*node.decorator_list, node.args, node.returns):
            if part is not None:
                self.visit(part)
        self._bind(node.name, None)
        self._function(node.args, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815  ast's name

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.args)
        self._function(node.args, [node.body])

    def _function(self, arguments: ast.arguments, body: Sequence[ast.AST]) -> None:
        """Keep the body of a function for later, with its parameters."""
        given = [each.arg for each in ast.iter_child_nodes(arguments) if isinstance(each, ast.arg)]
        scope = _Scope(self._scope, dict.fromkeys(given))
        if given and self._scope.is_class:
            scope.self_name = given[0]
            scope.names[given[0]] = self._scope.made
        self._later.append((scope, body))

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        outer, self._scope = self._scope, _Scope(self._scope)
        for each in node.generators:
            self.visit(each)
        for part in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            self.visit(part)
        self._scope = outer

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _comprehension  # noqa: N815  ast's names

    def _inside(self, scope: _Scope, body: Iterable[ast.AST]) -> None:
        outer, self._scope = self._scope, scope
        branches, self._branches = self._branches, 0
        for part in body:
            self.visit(part)
        self._scope, self._branches = outer, branches

    def _use(
        self,
        node: ast.expr | ast.alias | ast.stmt,
        thing: Thing,
        *,
        call: tuple[tuple[str, ...], int] | None = None,
        overrides: bool = False,
    ) -> None:
        self.uses.append(Use(node.lineno, node.col_offset + 1, thing, call, overrides))


def _arguments(node: ast.Call) -> tuple[tuple[str, ...], int]:
    positions = 0 if any(isinstance(each, ast.Starred) for each in node.args) else len(node.args)
    return tuple(each.arg for each in node.keywords if each.arg is not None), positions


def _defined_in(body: list[ast.stmt]) -> Iterator[str]:
    for part in body:
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield part.name
        elif isinstance(part, ast.AnnAssign | ast.Assign):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            yield from (each.id for each in targets if isinstance(each, ast.Name))
