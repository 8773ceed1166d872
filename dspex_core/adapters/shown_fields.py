"""How prompts of every format show fields and their values. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dspex_core.errors import SignatureError
from dspex_core.plain.data import json_text, to_json
from dspex_core.plain.display import unwritten_text, value_text
from dspex_core.plain.prompt_values import PromptValue
from dspex_core.signatures.signature import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dspex_core.signatures.signature import Signature, SignatureField

NOT_SUPPLIED = "(not supplied in this example)"


def present(fields: Mapping[str, SignatureField], values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Pairs of name and value of the fields that have a value or a default."""
    for name, declared in fields.items():
        value = values[name] if name in values else declared.absent  # noqa: SIM401  a default may be made
        if value is not MISSING:
            yield name, value


def listing(title: str, fields: Iterable[SignatureField]) -> str:
    """Write a line for each field, with its type and description; nothing if there are no fields."""
    lines = [f"- {field.name} ({field.type_text()}){field.meaning and f': {field.meaning}'}" for field in fields]
    return "\n".join([title, *lines]) if lines else ""


@lru_cache(maxsize=256)
def without(signature: type[Signature], *names: str) -> type[Signature]:
    """Return the signature without some fields; the same one each time."""
    for name in names:
        signature = signature.delete(name)
    return signature


def to_text(value: Any) -> str:
    """Write a value for a prompt: text as it is, all else as JSON."""
    if type(value) is str:
        return value
    if isinstance(value, PromptValue) and value.is_text and isinstance(shown := value.format(), str):
        return shown
    try:
        return json_text(to_json(value))
    except (ValueError, TypeError, RecursionError) as error:  # it holds itself, or a text of its own cannot be made
        shown = value_text(value, 100)
        raise SignatureError(
            f"a value cannot be written in a prompt: {unwritten_text(error)}; it is {shown}"
        ) from error
