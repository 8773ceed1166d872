"""Whether rows fit a signature. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.plain.display import value_text
from dspex_core.plain.reading.forgiving import forgiven

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dspex_core.example import Record
    from dspex_core.signatures.fields import SignatureField
    from dspex_core.signatures.signature import Signature


def faults_of(values: Mapping[str, Any] | Record, signature: type[Signature]) -> Iterator[str]:
    """Yield why a row does not fit a signature, a text for each field.

    An input that has no default must be there. An output may be missing, or `None`: then the row has no label. A text,
    as the cells of tables are, fits a type that it can be read as.
    """
    for name, field in signature.input_fields.items():
        if name not in values:
            if field.is_required() and not field.is_optional:
                yield f"lacks the input {name!r}; it has: {', '.join(map(repr, values)) or 'none'}"
        elif (fault := _fault(field, values[name])) is not None:
            yield f"has a value of the input {name!r} that is not {field.type_text()}: {fault}"
    for name, field in signature.output_fields.items():
        value = values.get(name)
        if value is not None and (fault := _fault(field, value)) is not None:
            yield f"has a value of the output {name!r} that is not {field.type_text()}: {fault}"


def _fault(field: SignatureField, value: Any) -> str | None:
    """Return the text of a value that does not fit a field; `None` if it does."""
    try:
        field.validate(value)
    except ValueError:
        if isinstance(value, str) and _reads_as(field, value):
            return None
        return value_text(value, 100)
    return None


def _reads_as(field: SignatureField, text: str) -> bool:
    try:
        field.validate(forgiven(field.annotation, text))
    except ValueError:
        return False
    return True
