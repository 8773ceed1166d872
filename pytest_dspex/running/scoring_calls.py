"""Which calls in a test make its scores, and which make what is scored. PYTEST_DONT_REWRITE

A function that gets a result (the fixture `prediction`, or what another call returned) measures it. One that gets only
fields of the row is the program: a change of it is what a baseline is there to show.
"""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING

from dspex_core.plugin_api import tree_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FunctionType

_SCORE = "score"
_RESULT = "prediction"
_ROW = "example"


def scoring_calls(function: FunctionType) -> list[ast.expr]:
    """Return the called expressions, such as names, whose results become scores of a test function."""
    tree = tree_of(function)
    return [] if tree is None else _Search(tree).found


class _Search:
    """Goes from the arguments of `score` back to the calls that made them."""

    def __init__(self, tree: ast.AST) -> None:
        self.found: list[ast.expr] = []
        self._assigned = _assigned(tree)
        self._followed = set[str]()
        for call in _calls(tree):
            if isinstance(call.func, ast.Name) and call.func.id == _SCORE:
                for value in (*call.args, *(keyword.value for keyword in call.keywords)):
                    self._visit(value, is_last=True)

    def _visit(self, node: ast.AST, *, is_last: bool) -> None:
        if isinstance(node, ast.Call):
            is_plain = _is_plain(node)
            if not (is_last or is_plain or self._gets_result(node)):
                return
            self.found.append(node.func)
            for child in ast.iter_child_nodes(node):
                self._visit(child, is_last=is_last and is_plain)
            return
        if isinstance(node, ast.Name):
            self._follow(node.id)
        for child in ast.iter_child_nodes(node):
            self._visit(child, is_last=is_last and not isinstance(node, ast.Compare))

    def _follow(self, name: str) -> None:
        if name not in self._followed:
            self._followed.add(name)
            for value in self._assigned.get(name, ()):
                self._visit(value, is_last=False)

    def _gets_result(self, call: ast.Call) -> bool:
        inside = [each for child in ast.iter_child_nodes(call) for each in ast.walk(child)]
        makes_one = any(isinstance(each, ast.Call) and not _is_plain(each) for each in inside)
        return makes_one or any(isinstance(each, ast.Name) and self._is_result(each.id) for each in inside)

    def _is_result(self, name: str) -> bool:
        return name == _RESULT or any(
            not _is_plain(call) for value in self._assigned.get(name, ()) for call in _calls(value)
        )


def _is_plain(call: ast.Call) -> bool:
    """Return whether a call is one of Python's own functions, or of a method of the row."""
    function = call.func
    if isinstance(function, ast.Name):
        return function.id in vars(builtins)
    while isinstance(function, ast.Attribute):
        function = function.value
    return isinstance(function, ast.Name) and function.id == _ROW


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _assigned(tree: ast.AST) -> dict[str, list[ast.expr]]:
    """Return the values that each local name is assigned."""
    values: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        pairs: list[tuple[ast.expr, ast.expr | None]] = []
        match node:
            case ast.Assign():
                pairs = [(target, node.value) for target in node.targets]
            case ast.AnnAssign() | ast.AugAssign() | ast.NamedExpr():
                pairs = [(node.target, node.value)]
            case ast.For() | ast.AsyncFor() | ast.comprehension():
                pairs = [(node.target, node.iter)]
            case ast.withitem(optional_vars=ast.expr() as target):
                pairs = [(target, node.context_expr)]
        for target, value in pairs:
            for name in ast.walk(target):
                if isinstance(name, ast.Name) and value is not None:
                    values.setdefault(name.id, []).append(value)
    return values
