"""The string form of a signature: `question, context: list[str] -> answer: int`. PYTEST_DONT_REWRITE

Python's own parser reads it; types are looked up by name, nothing is evaluated. A name is looked for in what is
given with the string, in builtins and typing, in the frame that called the library, and among the library's types.
"""

from __future__ import annotations

import ast
import builtins
import re
import typing
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Union

from dspex_core.errors import SignatureError
from dspex_core.plain.prompt_values import PromptValue
from dspex_core.signatures.caller_types import caller_type

if TYPE_CHECKING:
    from collections.abc import Mapping

Types = dict[str, Any]

_TYPING = (
    *("Any", "Dict", "FrozenSet", "Iterable", "List", "Literal", "Mapping", "Optional", "Sequence", "Set", "Tuple"),
    "Union",
)
_TYPES: Mapping[str, Any] = {
    **{name: value for name, value in vars(builtins).items() if isinstance(value, type)},
    **{name: vars(typing)[name] for name in _TYPING},
}
_OWN_TYPES = (
    *("Audio", "Citations", "Code", "Document", "File", "History", "Image", "Reasoning", "Tool", "ToolCallResults"),
    "ToolCalls",
)
_ARROW = re.compile(r""""[^"]*"|'[^']*'|->""")  # an arrow inside quotes belongs to a Literal


class OnlyThese(dict[str, Any]):
    """Types by name, for a text from a file: other names are unknown, even if the caller's code defines them."""


def parse_signature(text: str, types: Mapping[str, Any]) -> tuple[Types, Types]:
    """Return the types of the inputs and of the outputs by name; a field without a type is a str.

    Args:
        text: Inputs, an arrow, outputs.
        types: Types by the names under which `text` uses them, beside builtins, typing and what the names mean
            to the code that called the library.

    Raises:
        SignatureError: The text cannot be understood; the message says which part.
    """
    arrows = [found.span() for found in _ARROW.finditer(text) if found[0] == "->"]
    if len(arrows) != 1:
        raise SignatureError(f"the signature {text!r} must have one arrow: 'question, context -> answer'")
    start, end = arrows[0]
    inputs, outputs = _fields(text[:start], types), _fields(text[end:], types)
    names = [*(name for name, _ in inputs), *(name for name, _ in outputs)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"the signature {text!r} names {', '.join(map(repr, twice))} twice; give each field its own name"
        raise SignatureError(message)
    return dict(inputs), dict(outputs)


def parse_type(text: str, types: Mapping[str, Any]) -> Any:
    """Return the type that a text such as `"list[str] | None"` names.

    Raises:
        SignatureError: The text cannot be understood.
    """
    try:
        return _type(ast.parse(text, mode="eval").body, types)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, SignatureError):
            raise
        raise SignatureError(f"cannot read the type {text!r}") from error


def _fields(text: str, types: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Read `a, b: list[str]`, which are parameters of a function to Python's parser."""
    try:
        match ast.parse(f"def f({text}\n): 0").body:
            case [
                ast.FunctionDef(args=ast.arguments([], args, None, [], [], None, []), body=[ast.Expr(ast.Constant(0))])
            ]:
                return [(arg.arg, _type(arg.annotation, types)) for arg in args]
    except SignatureError:
        raise
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass  # the message is the same
    message = f"cannot read {text.strip()!r}: write names (Python identifiers) with types: 'a, b: list[str]'"
    raise SignatureError(message)


def _type(  # noqa: PLR0911  one return per kind of expression
    node: ast.expr | None, types: Mapping[str, Any]
) -> Any:
    match node:
        case None:
            return str
        case ast.Constant(None):
            return type(None)
        case ast.Constant(value) if value is ...:
            return value
        case ast.Name(name) if name in types:
            return types[name]
        case ast.Name(name) | ast.Attribute(ast.Name("typing"), name) if name in _TYPES:
            return _TYPES[name]
        case ast.Attribute() if ast.unparse(node) in types:
            return types[ast.unparse(node)]
        case ast.Name() | ast.Attribute() if (found := _looked_up(ast.unparse(node), types)) is not None:
            return found
        case ast.BinOp(left, ast.BitOr(), right):
            return Union[_type(left, types), _type(right, types)]  # noqa: UP007  the operands are values here
        case ast.Subscript(base, index):
            return _subscripted(_type(base, types), index, types)
    name = ast.unparse(node)
    raise SignatureError(
        f"unknown type {name!r}: define or import it in the function or module that makes the signature, "
        f"or give it by name: types={{{name!r}: ...}}"
    )


def _looked_up(name: str, types: Mapping[str, Any]) -> Any:
    """Return the type of a name in the caller's code, unless `types` are exclusive, or else in the library."""
    library, _, own = name.rpartition(".")
    if library in ("dspy", "dspex_core") and own in _OWN_TYPES:
        return _own_type(own)
    found = None if isinstance(types, OnlyThese) else caller_type(name)
    return _own_type(name) if found is None and name in _OWN_TYPES else found


def _own_type(name: str) -> Any:
    home = "dspex_core.tools" if name == "Tool" else "dspex_core.types"  # they load pydantic, which few strings need
    return getattr(import_module(home), name)


def _subscripted(base: Any, index: ast.expr, types: Mapping[str, Any]) -> Any:
    nodes = index.elts if isinstance(index, ast.Tuple) else [index]
    try:
        if base is Literal:
            return Literal[tuple(ast.literal_eval(node) for node in nodes)]
        if isinstance(base, type) and issubclass(base, PromptValue):  # Code["python"]
            return base[ast.literal_eval(index)]  # type: ignore[index]  # a type without parameters raises a TypeError
        parameters = tuple(_type(node, types) for node in nodes)
        return base[parameters if len(parameters) > 1 else parameters[0]]
    except SignatureError:
        raise
    except (TypeError, IndexError, ValueError) as error:
        raise SignatureError(f"{base!r} does not take the parameter {ast.unparse(index)!r}: {error}") from error
