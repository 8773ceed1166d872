"""Attributes by paths such as `"steps[0].tools['search']"`. PYTEST_DONT_REWRITE

A path is read, never run: names, attributes and literal indices are all that it may have.
"""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

from dspex_core.plain.display import value_text

_NO_DEFAULT = object()


class _Part(NamedTuple):
    key: Any
    is_index: bool


def get(obj: Any, attr: str, default: Any = _NO_DEFAULT) -> Any:
    """Return what is at a path, or `default` where there is nothing and one is given."""
    try:
        for part in _parts(attr):
            obj = _at(obj, part)
    except (AttributeError, LookupError, TypeError, ValueError):
        if default is _NO_DEFAULT:
            raise
        return default
    return obj


def set(obj: Any, attr: str, val: Any) -> None:  # noqa: A001  DSPy's name
    """Set what is at a path."""
    parent, key, is_index = lookup(obj, attr)
    if is_index:
        parent[key] = val
    else:
        setattr(parent, key, val)


def delete(obj: Any, attr: str) -> None:
    """Delete what is at a path."""
    parent, key, is_index = lookup(obj, attr)
    if is_index:
        del parent[key]
    else:
        delattr(parent, key)


def lookup(obj: Any, attr: str) -> tuple[Any, Any, bool]:
    """Return the object that has the last part of a path, that part, and whether it is an index."""
    *before, last = _parts(attr)
    for part in before:
        obj = _at(obj, part)
    return obj, last.key, last.is_index


def _at(obj: Any, part: _Part) -> Any:
    return obj[part.key] if part.is_index else getattr(obj, part.key)


def _parts(path: str) -> list[_Part]:
    """Read a path.

    Raises:
        TypeError: It is not a text.
        ValueError: It has something else than names, attributes and literal indices.
    """
    if not isinstance(path, str):
        raise TypeError(f"a path of attributes is a text, not {value_text(path, 200)}")
    try:
        node: ast.expr = ast.parse(path.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"{path!r} is not a path of attributes such as 'steps[0].name'") from error
    parts: list[_Part] = []
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            parts.append(_Part(node.attr, is_index=False))
        elif isinstance(node, ast.Subscript):
            parts.append(_Part(_index(node.slice, path), is_index=True))
        else:
            message = f"{path!r} is not a path of attributes: {ast.unparse(node)!r} is not allowed in it"
            raise ValueError(message)  # noqa: TRY004  the path is a text, as it should be
        node = node.value
    return [_Part(node.id, is_index=False), *reversed(parts)]


def _index(node: ast.expr, path: str) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        message = f"{path!r} is not a path of attributes: the index {ast.unparse(node)!r} is not a number or a text"
        raise ValueError(message) from None
