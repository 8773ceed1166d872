"""Replies that ended in the middle of an output. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from dspex_core.errors import AdapterParseError
from dspex_core.plain.reading.choices import normal_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dspex_core.signatures.signature import Signature

    Read = Callable[[str], Mapping[str, Any]]

BREAKS_OFF = "the reply breaks off in it"
_DECODER = json.JSONDecoder(strict=False)
_MORE = "5"  # as good as any: it changes a number, a word, a date
_WORDS = ("true", "false", "null", "True", "False", "None")  # which are whole
_GOES_ON = re.compile(r"[\w.+-]\Z")
_ENDED = re.compile(r"(?:\}|##\s*completed\s*##\s*\]\]|```)\s*\Z", re.IGNORECASE)
_BEFORE_OBJECT = "` \t\r\njsonJSON"
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


def in_an_open_object(signature: type[Signature], text: str, outputs: Mapping[str, Any], read: Read) -> tuple[str, ...]:
    """Return the outputs in which a reply may break off that lacks the brace at its end: 12 may have been 125.

    Args:
        signature: What was asked.
        text: The reply.
        outputs: What was read from it.
        read: Reads a longer reply.
    """
    if text.count("{") <= text.count("}") or not _GOES_ON.search(text, max(0, len(text) - 1)) or text.endswith(_WORDS):
        return ()
    is_object = text.lstrip(_BEFORE_OBJECT)[:1] == "{"
    if not is_object and "[[" in text[text.rindex("{") :]:
        return ()  # the brace is in another output
    return _changed(signature, text, outputs, read, with_texts=is_object)


def cut_in_two(signature: type[Signature], text: str, outputs: Mapping[str, Any], read: Read) -> tuple[str, ...]:
    """Return the outputs of a reply which is known to be cut off that may be cut off in it, or lie behind its end.

    As much of a text as there is is an output: the LM has warned that it is cut off. The arguments are as above.
    """
    if not text.strip() or _ENDED.search(text):
        return ()
    written = normal_name(text)
    lacking = tuple(
        name
        for name, field in signature.output_fields.items()
        if _is_empty(outputs.get(name)) or (not field.is_required() and normal_name(name) not in written)
    )
    changed = _changed(signature, text, outputs, read) if _GOES_ON.search(text, max(0, len(text) - 1)) else ()
    return lacking or changed


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | dict) and not value)


def _changed(
    signature: type[Signature], text: str, outputs: Mapping[str, Any], read: Read, *, with_texts: bool = False
) -> tuple[str, ...]:
    fields = signature.output_fields.items()
    names = tuple(name for name, field in fields if with_texts or not (field.is_text or field.is_optional_text))
    if not names:
        return ()
    try:
        longer = read(text + _MORE)
    except AdapterParseError as error:
        return tuple(error.invalid) or names[-1:]
    return tuple(name for name in names if longer.get(name) != outputs.get(name))
