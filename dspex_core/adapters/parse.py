"""Reading replies: JSON out of prose, and values as their fields' types. PYTEST_DONT_REWRITE

Whatever a model writes, all that can come out of here is the outputs or an AdapterParseError.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from itertools import islice
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from dspex_core.adapters.base import to_text
from dspex_core.broken_json import repaired
from dspex_core.errors import AdapterParseError

if TYPE_CHECKING:
    from dspex_core.signature import Signature, SignatureField

_FENCED = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)
_DECODER = json.JSONDecoder()
_SAYS_NOTHING = re.compile(r"\s*(\{\s*\}|\[\[ ## completed ## \]\])\s*")  # a reply in its format, without outputs
_MAX_STARTS = 100  # each brace is tried as the start of an object: keeps a reply full of them linear
_NOT_JSON = (ValueError, RecursionError)  # a reply of 10,000 brackets exceeds the decoder's depth

Reader = Callable[["SignatureField", Any], Any]


def read_outputs(
    signature: type[Signature], found: Mapping[str, Any], *, read: Reader, adapter_name: str, text: str
) -> dict[str, Any]:
    """Return the outputs as their types, from what was `found` in the reply `text` by name.

    Raises:
        AdapterParseError: It names each output that is missing or does not fit.
    """
    outputs: dict[str, Any] = {}
    missing: list[str] = []
    invalid: dict[str, str] = {}
    for name, field in signature.output_fields.items():
        if name not in found:
            if not field.is_required():
                outputs[name] = field.absent
            elif field.is_optional and (found or _SAYS_NOTHING.fullmatch(text)):
                outputs[name] = None
            else:
                missing.append(name)
            continue
        try:
            outputs[name] = read(field, found[name])
        except _NOT_JSON as error:
            invalid[name] = _reason(error)
    if missing or invalid:
        raise AdapterParseError(
            adapter_name=adapter_name,
            signature=signature,
            lm_response=text,
            parsed_result=outputs,
            missing=missing,
            invalid=invalid,
        )
    return outputs


def parse_value(field: SignatureField, value: Any) -> Any:
    """Return a value out of JSON as the field's type; text is read as `parse_text` does if it must be.

    Raises:
        ValueError: It does not fit; a pydantic.ValidationError where pydantic says so.
    """
    if field.annotation is str:
        return field.validate(_as_text(value))
    try:
        return _validated(field, value)
    except ValueError:
        if isinstance(value, str) or _choices(field.annotation):
            return parse_text(field, _as_text(value))
        raise


def parse_text(field: SignatureField, text: str) -> Any:
    """Return text as the field's type: read as JSON or as a Python literal where the type is not text.

    Raises:
        ValueError: It does not fit; a pydantic.ValidationError where pydantic says so.
    """
    if field.is_text:
        return field.validate(text)
    choices = _choices(field.annotation)
    if choices:
        return field.validate(_choice(choices, text))
    errors = []
    for value in _readings(text):
        try:
            return _validated(field, value)
        except ValueError as error:
            errors.append(error)
    raise errors[0]  # that of the most literal reading


def extract_json_object(text: str, names: Collection[str]) -> dict[str, Any] | None:
    """Return the object in a reply: the first with all `names` as keys, else the one with most of them.

    Looked for in the whole reply, in fenced blocks, from any brace on, and at last in what
    json-repair makes of it.
    """
    best: dict[str, Any] | None = None
    for found in _objects(text):
        if all(name in found for name in names):
            return found
        if best is None or _shared(found, names) > _shared(best, names):
            best = found
    return best


def _shared(found: Mapping[str, Any], names: Collection[str]) -> int:
    return sum(name in found for name in names)


def _objects(text: str) -> Iterator[dict[str, Any]]:
    if "{" not in text:
        return
    blocks = _fenced(text)
    for candidate in (text, *blocks):
        yield from _dicts(_decoded(candidate))
    for brace in islice(re.finditer(r"\{", text), _MAX_STARTS):
        yield from _dicts(_decoded_from(text, brace.start()))
    for candidate in (*blocks, text[text.index("{") :]):
        yield from _dicts(repaired(candidate))


def _dicts(values: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for value in values:
        yield from (item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict))


def _readings(text: str) -> Iterator[Any]:
    """Yield what a text may stand for, the most literal reading first."""
    candidates = [text, *_fenced(text)]
    for candidate in candidates:
        yield from _decoded(candidate)
        yield from _literal(candidate)
    yield text
    for candidate in candidates:
        if candidate.lstrip().startswith(("{", "[")):
            yield from repaired(candidate)


def _fenced(text: str) -> list[str]:
    return [block[1] for block in _FENCED.finditer(text)] if "```" in text else []


# Each of these yields the one value that it could read, or nothing.


def _decoded(text: str) -> Iterator[Any]:
    with suppress(*_NOT_JSON):
        yield json.loads(text)


def _decoded_from(text: str, start: int) -> Iterator[Any]:
    with suppress(*_NOT_JSON):
        yield _DECODER.raw_decode(text, start)[0]


def _literal(text: str) -> Iterator[Any]:
    if "\\" in text:  # an unknown escape makes Python's parser warn; json-repair reads these
        return
    with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        yield ast.literal_eval(text.strip())


def _validated(field: SignatureField, value: Any) -> Any:
    """Return a value as the field's type; choices inside its type are recognised as `_choice` does, if they must be."""
    try:
        return field.validate(value)
    except ValueError:
        forgiven = _forgiven(field.annotation, value)
        if forgiven == value:
            raise
        return field.validate(forgiven)


def _forgiven(annotation: Any, value: Any) -> Any:
    """Return a value with the choices meant in it, as far as its type has any: in a union, a list, a dict, a tuple."""
    if get_origin(annotation) is Annotated:
        return _forgiven(get_args(annotation)[0], value)
    choices = _choices(annotation)
    if choices:
        return _choice(choices, _as_text(value)) if isinstance(value, str | int | float) else value
    parts = get_args(annotation)
    if get_origin(annotation) in (Union, UnionType):
        found = (_forgiven(part, value) for part in parts)
        return next((forgiven for forgiven in found if forgiven != value), value)
    if isinstance(value, list) and parts:
        pairs = zip(_item_types(annotation, len(value)), value, strict=False)
        return [_forgiven(part, item) for part, item in pairs]
    if isinstance(value, dict) and len(parts) == 2:  # noqa: PLR2004  the types of key and value
        return {_forgiven(parts[0], key): _forgiven(parts[1], item) for key, item in value.items()}
    return value


def _item_types(annotation: Any, length: int) -> Sequence[Any]:
    parts = get_args(annotation)
    each_its_own = get_origin(annotation) is tuple and parts[-1] is not Ellipsis
    return [*parts, *[Any] * length] if each_its_own else [parts[0]] * length


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        raise ValueError("null where text was expected")
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _choices(annotation: Any) -> dict[str, Any]:
    """Return the choices of a type by what each may be called; none where the type is no choice."""
    if get_origin(annotation) is Literal:
        return {to_text(choice): choice for choice in get_args(annotation)}
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        names = {member.name: member for member in annotation}
        return names | {to_text(member): member for member in annotation}
    return {}


def _choice(choices: Mapping[str, Any], text: str) -> Any:
    """Return the choice that a text means; quotes, spaces and, if only one fits, case are forgiven."""
    for name in (text, text.strip(), text.strip().strip("\"'`").strip()):
        if name in choices:
            return choices[name]
    similar = {id(choice): choice for called, choice in choices.items() if called.casefold() == name.casefold()}
    return next(iter(similar.values())) if len(similar) == 1 else name


def _reason(error: Exception) -> str:
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return str(error)
    reasons = []
    for detail in error.errors(include_url=False, include_context=False):
        where = ".".join(str(part) for part in detail["loc"])
        reasons.append(f"{where}: {detail['msg']}" if where else detail["msg"])
    return "; ".join(reasons)
