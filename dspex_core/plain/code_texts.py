"""The text of a function or a class, without decorators, docstrings, comments and layout. PYTEST_DONT_REWRITE

It is the same with every version of Python, so that it may be kept in files.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import textwrap
from abc import ABCMeta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
_ASIDE = frozenset(("ctx", "decorator_list", "kind", "type_comment", "type_ignores"))


def code_text(value: Any) -> str:
    """Return the syntax tree of a function or class as a text; of one that is made at run time, its name.

    The docstring of a class counts where it may be a prompt: a metaclass has made the class.
    """
    tree = tree_of(value)
    if tree is None:
        return getattr(value, "__qualname__", type(value).__qualname__)
    return f"{tree_text(tree)}{_words(value)}"


def class_level_text(kind: type) -> str | None:
    """Return the text of a class without its methods; `None` if its source is not there."""
    tree = tree_of(kind)
    if not isinstance(tree, ast.Module):
        return None
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            node.body = [each for each in node.body if not isinstance(each, _FUNCTION)]
    return f"{tree_text(tree)}{_words(kind)}"


def tree_text(tree: ast.AST) -> str:
    """Return a syntax tree as a text that is the same with every version of Python."""
    if isinstance(tree, ast.Constant):
        return ascii(tree.value)
    return f"{type(tree).__name__}({', '.join(_fields(tree))})"


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


def _fields(tree: ast.AST) -> Iterator[str]:
    for name, value in ast.iter_fields(tree):
        if name in _ASIDE or value is None or value == []:
            continue
        if isinstance(value, list):
            yield f"{name}=[{', '.join(map(_item, _without_docstring(tree, name, value)))}]"
        else:
            yield f"{name}={_item(value)}"


def _item(value: Any) -> str:
    return tree_text(value) if isinstance(value, ast.AST) else ascii(value)


def _without_docstring(tree: ast.AST, name: str, nodes: list[Any]) -> list[Any]:
    if name == "body" and isinstance(tree, _FUNCTION | ast.ClassDef):
        match nodes:
            case [ast.Expr(value=ast.Constant(value=str())), *rest]:
                return rest
    return nodes


def _words(value: Any) -> str:
    is_plain = not isinstance(value, type) or type(value) in (type, ABCMeta)
    return "" if is_plain else ascii(inspect.cleandoc(vars(value).get("__doc__") or ""))


@functools.lru_cache(maxsize=16)
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


def _lambda(file: str, line: int) -> ast.AST | None:
    """Return the lambdas of a line: their own text, since the lines around them may not be a statement."""
    found = [node for node in ast.walk(module_tree(file)) if isinstance(node, ast.Lambda) and node.lineno == line]
    return ast.Tuple(list(found), ast.Load()) if found else None
