"""The JSON object in a reply, and forms that stand for one. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import html
import json
import re
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from dspex_core.adapters.answers import is_placeholder
from dspex_core.plain.reading.annotations import bare_type
from dspex_core.plain.reading.forgiving import field_names, fields_of, fits
from dspex_core.plain.reading.numbers import as_written
from dspex_core.plain.reading.texts import decoded, fenced, has_bullets, literal_readings
from dspex_core.plain.repair import mended, repaired

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from dspex_core.signatures.signature import Signature

_DECODER = json.JSONDecoder(strict=False, parse_float=as_written)
_MAX_STARTS = 100  # each brace is tried as the start of an object: keeps a reply full of them linear
_NOT_JSON = (ValueError, RecursionError)
_SMART_QUOTES = str.maketrans("\u201c\u201d\u201e\u201f\uff02", '"""""')


def object_answers(signature: type[Signature], text: str) -> Iterator[Mapping[str, Any]]:
    """Yield the answers in a reply that is a JSON object, the likeliest first."""
    names = signature.output_fields
    if "\\" not in text:
        with suppress(*_NOT_JSON):  # the reply as it should be
            whole = _DECODER.decode(text)
            if isinstance(whole, dict) and whole.keys() >= names.keys() and not _is_schema(signature, whole):
                yield whole
    found = extract_json_object(text, names)
    if found is not None and names and _is_schema(signature, found):
        if not all("value" in found[name] for name in names):
            return
        found = {name: found[name]["value"] for name in names}
    if found is not None and (any(name in found for name in names) or not names):
        yield found
    if len(names) == 1:
        yield from _only_output(signature, text, found)
    elif found is not None:
        yield found


def _is_schema(signature: type[Signature], found: Mapping[str, Any]) -> bool:
    """Whether an object is the schema of the outputs, which some models repeat, and not their values."""
    fields = signature.output_fields
    return all(_describes(found.get(name)) for name in fields) and not any(
        fits(field.annotation, found[name]) for name, field in fields.items()
    )


def _describes(value: Any) -> bool:
    """Whether a value is a JSON schema."""
    return isinstance(value, dict) and (
        isinstance(value.get("type"), str) or any(key in value for key in ("anyOf", "allOf", "$ref", "enum"))
    )


def extract_json_object(text: str, names: Collection[str]) -> dict[str, Any] | None:
    """Return the object in a reply: the last with all `names` as keys, else the one with most of them.

    It searches the whole reply, then from each brace on, and finally the output of json-repair. Keys may differ in
    case, spaces or dashes.
    """
    whole = next(decoded(text), None)
    if isinstance(whole, dict) and whole.keys() >= set(names):
        return whole
    best: dict[str, Any] | None = None
    for objects in _stages(text, whole, names):
        found = [_with_names(candidate, names) for candidate in objects]
        complete = [candidate for candidate in found if all(name in candidate for name in names)]
        if complete:
            meant = [candidate for candidate in complete if not _is_layout(candidate, names)]
            return (meant or complete)[-1]
        for candidate in found:
            if best is None or _shared(candidate, names) > _shared(best, names):
                best = candidate
    return best


def _shared(found: Mapping[str, Any], names: Collection[str]) -> int:
    return sum(name in found for name in names)


def _is_layout(found: Mapping[str, Any], names: Collection[str]) -> bool:
    return bool(names) and all(is_placeholder(name, found[name]) or _describes(found[name]) for name in names)


def _with_names(found: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    meant = field_names(names, found)
    return {meant.get(key, key): value for key, value in found.items()} if meant else found


def _stages(text: str, whole: Any, names: Collection[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the objects in a text: well-formed ones first, then repaired ones."""
    yield _dicts([whole])
    if isinstance(whole, str) and "{" in whole:  # JSON in a JSON text
        text = whole
        yield _dicts(decoded(text))
    if "{" not in text:
        return
    if '"' not in text:
        text = html.unescape(text) if "&quot;" in text or "&#34;" in text else text.translate(_SMART_QUOTES)
    yield list(_written(mended(text), names))
    blocks = fenced(text)
    yield from (_dicts(repaired(candidate)) for candidate in (*blocks[::-1], text[text.index("{") :]))


def _written(text: str, names: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield each well-formed object, outer ones before inner ones, but none inside an object with all names."""
    end = 0
    for brace in islice(re.finditer(r"\{", text), _MAX_STARTS):
        if brace.start() < end:
            continue
        with suppress(*_NOT_JSON):
            found, stop = _DECODER.raw_decode(text, brace.start())
            yield found
            end = stop if all(name in _with_names(found, names) for name in names) else end


def _dicts(values: Iterable[Any]) -> list[dict[str, Any]]:
    return [
        item for value in values for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)
    ]


def _only_output(signature: type[Signature], text: str, found: dict[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """Yield possible values of the only output, without its name: a list, a number, the fields of a model."""
    [(name, field)] = signature.output_fields.items()
    blocks = fenced(text) if text.lstrip().startswith("```") else []
    text = blocks[0] if len(blocks) == 1 else text
    takes_prose = fits(field.annotation, "words of prose")
    if found is not None and name not in found and not takes_prose:
        yield {name: found}
    for value in literal_readings(text.strip()):
        if isinstance(value, dict) and name in value and name not in fields_of(bare_type(field.annotation)):
            continue  # it is the object around the value, which does not fit
        if isinstance(value, str | list) or not takes_prose:
            yield {name: value}
    if not takes_prose and "{" not in text and ("\n" not in text.strip() or has_bullets(text)):
        yield {name: text.strip()}
