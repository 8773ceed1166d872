"""Signatures of DSPy as ours, and ours as DSPy's. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import functools
import operator
import types
import typing
from functools import cache
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError, SignatureError
from dspex_core.interop.dspy_bridge.library import library
from dspex_core.signatures.signature import MISSING, InputField, OutputField, Signature, make_signature
from dspex_core.tools import Tool
from dspex_core.types import Audio, Citations, Code, Document, File, History, Image, Reasoning, ToolCalls

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex_core.signatures.signature import SignatureField

_LIMITS = (
    *("allow_inf_nan", "decimal_places", "ge", "gt", "le", "lt", "max_digits", "max_length", "min_length"),
    *("multiple_of", "pattern", "strict"),
)


def our_signature(theirs: Any, type_of: Callable[[Any], Any] = lambda annotation: annotation) -> type[Signature]:
    """Return a signature of DSPy as one of ours; `type_of` makes the type of a field of ours of that of DSPy's."""
    fields: dict[str, Any] = {}
    for name, field in {**theirs.input_fields, **theirs.output_fields}.items():
        said = field.json_schema_extra or {}
        desc, prefix = said.get("desc") or "", said.get("prefix")
        words = {"desc": "" if desc == f"${{{name}}}" else desc, **({"prefix": prefix} if prefix else {})}
        make = InputField if said.get("__dspy_field_type") == "input" else OutputField
        fields[name] = (type_of(field.annotation), make(**words, **_limits_of(field), **_default_of(field)))
    return make_signature(fields, theirs.instructions, signature_name=theirs.__name__)


def dspy_signature(ours: type[Signature]) -> Any:
    """Return a signature of ours as one of DSPy's.

    Raises:
        SignatureError: A type of ours has no like in DSPy.
    """
    dspy = library()
    fields = {}
    for name, field in ours.fields.items():
        given = {"desc": field.desc} if field.desc else {}
        default = {} if field.default is MISSING else {"default": field.default}
        if field.default_factory is not None:
            default["default_factory"] = field.default_factory
        make = dspy.InputField if field.is_input else dspy.OutputField
        fields[name] = (dspy_type(field.annotation), make(**given, **field.constraints, **default))
    return with_words(dspy.make_signature(fields, ours.instructions, ours.__name__), ours)


def with_words(theirs: Any, ours: type[Signature]) -> Any:
    """Return a signature of DSPy with the instructions, descriptions and prefixes of ours.

    Raises:
        ConfigurationError: The fields are others.
    """
    if set(theirs.fields) != set(ours.fields):
        raise ConfigurationError(
            f"a predictor of DSPy keeps its fields ({theirs.signature}), so it cannot get those of {ours!r}"
        )
    if ordered := [name for name, field in ours.fields.items() if field.choices]:
        raise ConfigurationError(f"DSPy keeps no order of choices, as {', '.join(map(repr, ordered))} of {ours!r} has")
    changed = theirs if theirs.instructions == ours.instructions else theirs.with_instructions(ours.instructions)
    for name, field in ours.fields.items():
        said, words = theirs.fields[name].json_schema_extra, _words(field)
        if any(said.get(key) != value for key, value in words.items()):
            changed = changed.with_updated_fields(name, **words)
    return changed


def our_type(annotation: Any) -> Any:
    """Return a type in which each of DSPy's types is ours of the same name.

    Raises:
        SignatureError: We have no such type.
    """
    return _mapped(annotation, _ours())


def dspy_type(annotation: Any) -> Any:
    """Return a type in which each of our types is DSPy's of the same name.

    Raises:
        SignatureError: DSPy has no such type.
    """
    return _mapped(annotation, {ours: theirs for theirs, ours in _ours().items()})


@cache
def _ours() -> dict[Any, Any]:
    theirs = vars(library())
    ours = (Audio, Citations, Document, File, History, Image, Reasoning, Tool, ToolCalls)
    return {theirs[kind.__name__]: kind for kind in ours if kind.__name__ in theirs}


def _mapped(annotation: Any, table: dict[Any, Any]) -> Any:
    args = typing.get_args(annotation)
    if isinstance(annotation, type) and not args:
        return _class_of(annotation, table)
    origin = typing.get_origin(annotation)
    if not args or origin is typing.Literal:
        return annotation
    parts = tuple(part if part is Ellipsis or not _is_type(part) else _mapped(part, table) for part in args)
    if parts == args:
        return annotation
    if origin in (typing.Union, types.UnionType):
        return functools.reduce(operator.or_, parts)
    return annotation.copy_with(parts) if hasattr(annotation, "copy_with") else origin[parts]


def _class_of(kind: type, table: dict[Any, Any]) -> Any:
    if kind in table:
        return table[kind]
    names = {base.__name__ for base in kind.__mro__ if base.__module__.startswith(("dspy.", "dspex_core."))}
    language = vars(kind).get("language")
    if "Code" in names:
        target: Any = Code if kind.__module__.startswith("dspy.") else library().Code
        return target if language is None else target[language]
    if "Type" in names:
        raise SignatureError(f"the type {kind.__name__} is made for one of the two libraries, and the other lacks it")
    return kind


def _is_type(part: Any) -> bool:
    return isinstance(part, type) or typing.get_origin(part) is not None


def _words(field: SignatureField) -> dict[str, str]:
    return {"desc": field.desc or f"${{{field.name}}}", "prefix": field.prefix}


def _limits_of(field: Any) -> dict[str, Any]:
    """Return the constraints of a field of pydantic's by name."""
    found = {}
    for limit in field.metadata:
        for name in _LIMITS:
            value = getattr(limit, name, None)  # each is an object of another class of pydantic's
            if value is not None:
                found[name] = value
    return found


def _default_of(field: Any) -> dict[str, Any]:
    if field.default_factory is not None:
        return {"default_factory": field.default_factory}
    return {} if field.is_required() else {"default": field.default}
