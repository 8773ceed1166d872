"""Values and fields as texts, and back, by DSPy's names: for adapters that users write. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

from dspex_core.adapters.parse import parse_value as read_value
from dspex_core.adapters.shown_fields import to_text
from dspex_core.plain.data import to_json
from dspex_core.signatures.fields import SignatureField

if TYPE_CHECKING:
    from collections.abc import Mapping

_Member = TypeVar("_Member", bound=enum.Enum)
serialize_for_json = to_json


def parse_value(value: Any, annotation: Any) -> Any:
    """Return a value that a model wrote as a type, read as leniently as the built-in adapters read outputs.

    Raises:
        ValueError: It does not fit the type.
    """
    return read_value(_of(annotation), value)


def format_field_value(field_info: SignatureField, value: Any, assume_text: bool = True) -> Any:  # noqa: FBT001, FBT002  as in DSPy
    """Return a value for a prompt: text as it is, a list for a text as a numbered list, all else as JSON.

    Without `assume_text`, it is the part of a message.
    """
    is_listed = isinstance(value, list) and field_info.annotation is str
    text = _numbered(value) if is_listed else to_text(value)
    return text if assume_text else {"type": "text", "text": text}


def translate_field_type(field_name: str, field_info: SignatureField) -> str:
    """Return what stands for an output in the format that a prompt describes: `{name}`, with its type if it has one."""
    if field_info.is_input or field_info.is_text:
        return f"{{{field_name}}}"
    return f"{{{field_name}}}        # note: a value of the type {field_info.type_text()}"


def get_annotation_name(annotation: Any) -> str:
    """Return a type as code writes it."""
    origin = get_origin(annotation)
    if origin is None:
        return annotation.__name__ if hasattr(annotation, "__name__") else str(annotation)
    parts = [repr(part) if origin is Literal else get_annotation_name(part) for part in get_args(annotation)]
    return f"{get_annotation_name(origin)}[{', '.join(parts)}]"


def get_field_description_string(fields: Mapping[str, SignatureField]) -> str:
    """Return a numbered line for each field, with its type and description."""
    lines = [
        f"{number}. `{name}` ({get_annotation_name(field.annotation)}): {field.meaning}"
        for number, (name, field) in enumerate(fields.items(), 1)
    ]
    return "\n".join(lines).strip()


def get_dspy_field_type(field: SignatureField) -> str:
    """Return `"input"` or `"output"`."""
    return "input" if field.is_input else "output"


def find_enum_member(enum: type[_Member], identifier: Any) -> _Member:
    """Return the member of an enum by its value, or else by its name.

    Raises:
        ValueError: There is neither.
    """
    for member in enum:
        if member.value == identifier:
            return member
    if identifier in enum.__members__:
        return enum[identifier]
    raise ValueError(f"{identifier!r} is neither a value nor a name of {enum.__name__}: {', '.join(enum.__members__)}")


def _of(annotation: Any) -> SignatureField:
    return SignatureField(is_input=False, name="value", annotation=annotation)


def _numbered(texts: list[Any]) -> str:
    shown = [_quoted(str(text)) for text in texts]
    if len(shown) < 2:  # noqa: PLR2004  a single one needs no number
        return shown[0] if shown else "N/A"
    return "\n".join(f"[{number}] {text}" for number, text in enumerate(shown, 1))


def _quoted(text: str) -> str:
    if not any(mark in text for mark in "\n«»"):
        return f"«{text}»"
    indented = text.replace("\n", "\n    ")
    return f"«««\n    {indented}\n»»»"
