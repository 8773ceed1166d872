"""The fields of a signature as they are written: in a class, in a mapping, in a string. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
import keyword
import typing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dspex_core.errors import SignatureError, UndeclaredFieldError
from dspex_core.signatures.fields import Fields, FieldSpec, SignatureField, label
from dspex_core.signatures.string import parse_signature

if TYPE_CHECKING:
    from collections.abc import Mapping


def own_fields(cls: type, declared: Fields) -> Fields:
    """Return the fields that a class itself declares, with the types of its annotations.

    Raises:
        SignatureError: An annotation has no field, or its type cannot be resolved.
    """
    annotations = _annotations(cls)
    bare = sorted(set(annotations) - set(declared))
    if bare:
        raise UndeclaredFieldError(
            f"{', '.join(map(repr, bare))} of {cls.__name__} must be declared: = InputField() or = OutputField()"
        )
    return {name: named(name, field, annotations.get(name)) for name, field in declared.items()}


def _annotations(cls: type) -> dict[str, Any]:
    try:
        own = inspect.get_annotations(cls)
        hints = typing.get_type_hints(cls, include_extras=True) if own else {}
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise SignatureError(
            f"a type of {cls.__name__} cannot be resolved in module {cls.__module__!r}: {error}. Define or import it "
            f"at module level (not under TYPE_CHECKING), or remove `from __future__ import annotations`, "
            f"or write Signature({{name: (type, InputField()), ...}})"
        ) from error
    return {name: hints[name] for name in own}


def from_mapping(specs: Mapping[str, FieldSpec]) -> Fields:
    """Return the fields of a mapping from name to field, or to a pair of type and field."""
    fields = {}
    for name, spec in specs.items():
        match spec:
            case SignatureField():
                fields[name] = named(name, spec)
            case (type_, SignatureField() as field):
                fields[name] = named(name, field, type_)
            case _:
                message = f"field {name!r} must be InputField(), OutputField() or (type, InputField()), not {spec!r}"
                raise SignatureError(message)
    return fields


def from_string(text: str, types: Mapping[str, Any] | None) -> Fields:
    """Return the fields of a signature's string form; `types` are what it may name."""
    inputs, outputs = parse_signature(text, types or {})
    return {
        **{name: named(name, SignatureField(is_input=True), type_) for name, type_ in inputs.items()},
        **{name: named(name, SignatureField(is_input=False), type_) for name, type_ in outputs.items()},
    }


def named(name: str, field: SignatureField, type_: Any = None) -> SignatureField:
    """Return a field that knows its name, its type and its label.

    Raises:
        SignatureError: No field can have this name.
    """
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        message = f"{name!r} cannot be the name of a field: use a Python identifier without a leading underscore"
        raise SignatureError(message)
    if name == "self":
        raise SignatureError("a field cannot be named 'self': programs are called with their inputs by name")
    annotation = field.annotation if type_ is None else type_
    return replace(field, name=name, annotation=annotation, prefix=field.prefix or label(name))
