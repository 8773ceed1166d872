"""The text of a function or a class, without decorators, comments and layout. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import textwrap
from typing import Any


def code_text(value: Any) -> str:
    """Return the syntax tree of a function or class as a text; of one that is made at run time, its name."""
    tree = tree_of(value)
    if tree is None:
        return getattr(value, "__qualname__", type(value).__qualname__)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.decorator_list = []
    return ast.dump(tree)


def tree_of(value: Any) -> ast.AST | None:
    """Return the syntax tree of a function or class; `None` if its source is not there."""
    try:
        found = inspect.unwrap(value)
        lines, first = inspect.getsourcelines(found)
        if getattr(found, "__name__", "") == "<lambda>":
            return _lambda(inspect.getsourcefile(found) or "", first)
        return ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return None


def module_tree(file: str) -> ast.Module:
    """Return the syntax tree of a module's file; an empty one if it cannot be read."""
    linecache.checkcache(file)
    try:
        return _parsed("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return ast.Module([], [])


@functools.lru_cache(maxsize=16)
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


def _lambda(file: str, line: int) -> ast.AST | None:
    """Return the lambdas of a line: their own text, since the lines around them may not be a statement."""
    found = [node for node in ast.walk(module_tree(file)) if isinstance(node, ast.Lambda) and node.lineno == line]
    return ast.Tuple(list(found), ast.Load()) if found else None
