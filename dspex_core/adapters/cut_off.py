"""Replies in JSON that ended in the middle of a text, at a limit that the server names. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dspex_core.signatures.signature import Signature

_DECODER = json.JSONDecoder(strict=False)
_HALF_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?\Z")


def with_its_text_ended(signature: type[Signature], text: str) -> str | None:
    """Return the JSON of a reply that broke off in the text of an output, with that text ended there.

    As much of the text as there is is the output: the LM has warned that it is cut off. `None` if the reply broke off
    anywhere else, or if the output is not a text: half a choice or half a list is not an answer.
    """
    start = text.find("{")
    ended = _HALF_ESCAPE.sub(r"\1", text[start:]) + '"}'
    try:
        found = _DECODER.decode(ended) if start >= 0 else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not found:
        return None
    field = signature.output_fields.get(next(reversed(found)))
    is_text = field is not None and field.annotation in (str, str | None) and bool(found[field.name])
    return ended if is_text else None
