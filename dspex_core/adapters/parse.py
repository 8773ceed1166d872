"""Reading replies: the outputs by name, and values as their fields' types. PYTEST_DONT_REWRITE

For any text, the result is the outputs or an AdapterParseError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from dspex_core.adapters.cut_off import BREAKS_OFF, in_an_open_object
from dspex_core.adapters.thinking import regions
from dspex_core.errors import AdapterParseError, SignatureError
from dspex_core.plain.display import error_text
from dspex_core.plain.reading.choices import choice, choices
from dspex_core.plain.reading.forgiving import AmbiguousValueError, forgiven
from dspex_core.plain.reading.moments import check_moments
from dspex_core.plain.reading.numbers import WrittenNumber, without_texts
from dspex_core.plain.reading.texts import literal_readings, repaired_readings

if TYPE_CHECKING:
    from dspex_core.signatures.signature import Signature, SignatureField

Reader = Callable[["SignatureField", Any], Any]
_SAYS_NOTHING = re.compile(r"\s*(\{\s*\}|\[\[ ## completed ## \]\])\s*")  # a reply in its format, without outputs
_decode = json.JSONDecoder().decode
_NONE = ("null", "none")  # such text means `None` for optional text; other text is itself


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write outputs.

    Args:
        answers: Returns the texts in a reply by the outputs' names, the likeliest answer first.
        read: Reads a value as its field's type.
        text: Returns a value as it is written.
        plain: Returns at once what `answers` would find in a reply that is one whole answer and nothing else; `None`
            for any other reply. Nearly all replies are so.
    """

    answers: Callable[[type[Signature], str], Iterable[Mapping[str, Any]]]
    read: Reader
    text: Callable[[Any], str]
    plain: Callable[[type[Signature], str], Mapping[str, Any] | None] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer in a reply: its outputs, and the text of each."""

    outputs: dict[str, Any]
    written: Mapping[str, Any]
    form: Format

    def texts(self) -> dict[str, str]:
        """Return the text of each output."""
        return {name: self.form.text(self.written[name]) for name in self.outputs if name in self.written}


def read_reply(
    signature: type[Signature], text: str, *, formats: Sequence[Format], adapter_name: str
) -> dict[str, Any]:
    """Return the outputs in a reply: after the model's thinking, in the first matching format.

    Raises:
        AdapterParseError: No answer in the reply can be read; the error is about the likeliest one. Or the reply may
            break off in an output.
    """

    def read(text: str) -> dict[str, Any]:
        return _read(signature, text, formats=formats, adapter_name=adapter_name)

    outputs = read(text)
    cut = in_an_open_object(signature, text, outputs, read)
    if cut:
        raise AdapterParseError(
            adapter_name=adapter_name, signature=signature, lm_response=text, invalid=dict.fromkeys(cut, BREAKS_OFF)
        )
    return outputs


def _read(signature: type[Signature], text: str, *, formats: Sequence[Format], adapter_name: str) -> dict[str, Any]:
    first = formats[0]
    plain = first.plain(signature, text) if first.plain is not None else None
    if plain is not None:
        try:
            return read_outputs(signature, plain, read=first.read, adapter_name=adapter_name, text=text)
        except AdapterParseError:  # it is read again below, beside all others
            pass
    return read_answer(signature, text, formats=formats, adapter_name=adapter_name).outputs


def read_answer(signature: type[Signature], text: str, *, formats: Sequence[Format], adapter_name: str) -> Answer:
    """Return the answer that `read_reply` reads."""
    failure: AdapterParseError | None = None
    for form, found in _answers(signature, text, formats):
        try:
            outputs = read_outputs(signature, found, read=form.read, adapter_name=adapter_name, text=text)
            return Answer(outputs, found, form)
        except AdapterParseError as error:
            if failure is None or len(error.missing) < len(failure.missing):
                failure = error
    if failure is not None:
        raise failure
    outputs = read_outputs(signature, {}, read=parse_text, adapter_name=adapter_name, text=text)
    return Answer(outputs, {}, formats[0])


def _answers(
    signature: type[Signature], text: str, formats: Sequence[Format]
) -> Iterator[tuple[Format, Mapping[str, Any]]]:
    """Yield possible answers in a reply, the likeliest first."""
    for region in regions(text, signature):
        for form in formats:
            for found in form.answers(signature, region):
                yield form, found


def read_outputs(
    signature: type[Signature], found: Mapping[str, Any], *, read: Reader, adapter_name: str, text: str
) -> dict[str, Any]:
    """Return the outputs converted to their types, from the values `found` in the reply `text`.

    Raises:
        AdapterParseError: Outputs are missing or do not fit; the error names each.
    """
    outputs: dict[str, Any] = {}
    missing: list[str] = []
    invalid: dict[str, str] = {}
    cause: BaseException | None = None
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
        except SignatureError:
            raise
        except Exception as error:  # noqa: BLE001  a user's validator, on a model's values
            invalid[name] = _reason(error)
            cause = error.__cause__ if isinstance(error, _UserCodeError) else cause
    if missing or invalid:
        raise AdapterParseError(
            adapter_name=adapter_name,
            signature=signature,
            lm_response=text,
            parsed_result=outputs,
            missing=missing,
            invalid=invalid,
        ) from cause
    return outputs


def parse_value(field: SignatureField, value: Any) -> Any:
    """Return a JSON value converted to the field's type; text is read like in `parse_text` if needed.

    Raises:
        ValueError: The value does not fit; a pydantic.ValidationError if pydantic refuses it.
    """
    if field.bare is str:
        return _checked(field, _as_text(value))
    try:
        return _validated(field, value)
    except ValueError:
        if isinstance(value, str) or choices(field.bare):
            return parse_text(field, _as_text(value))
        raise


def parse_text(field: SignatureField, text: str) -> Any:
    """Return text converted to the field's type: read as JSON or a Python literal if the type is not text.

    Raises:
        ValueError: The value does not fit; a pydantic.ValidationError if pydantic refuses it.
    """
    if field.is_text:
        return _checked(field, text)
    named = choices(field.bare)
    if named:
        return _checked(field, choice(named, text))
    if field.is_optional_text:
        return _checked(field, None if text.strip().casefold() in _NONE else text)
    if "\\" not in text:
        try:  # most of what models write is JSON that fits
            value = _decode(text)
            check_moments(field.annotation, value)
            return field.validate(value)
        except Exception:  # noqa: BLE001, S110  all readings are tried below, and the error is reported
            pass
    errors: list[Exception] = []
    for value in _readings(text):
        try:
            return _validated(field, value)
        except ValueError as error:
            errors.append(error)
    ambiguous = (error for error in errors if isinstance(error, AmbiguousValueError))
    raise next(ambiguous, errors[0])  # that of the most literal reading


def _readings(text: str) -> Iterator[Any]:
    """Yield possible readings of a text, the most literal first, and the text itself before guesses."""
    yield from literal_readings(text)
    yield text
    yield from repaired_readings(text)


def _validated(field: SignatureField, value: Any) -> Any:
    """Return a value converted to the field's type, leniently if strict validation fails."""
    check_moments(field.annotation, value)
    try:
        return without_texts(_checked(field, value))
    except ValueError:
        constraints = field.constraints
        meant = forgiven(_with_constraints(field) if constraints else field.annotation, value)
        if meant is value:
            raise
        check_moments(field.annotation, meant)
        return without_texts(_checked(field, meant))


def _with_constraints(field: SignatureField) -> Any:
    from pydantic import Field  # loaded by then

    return Annotated[field.annotation, Field(**field.constraints)]


class _UserCodeError(ValueError):
    """An exception of a user's validator that pydantic does not treat as a refusal."""


def _checked(field: SignatureField, value: Any) -> Any:
    try:
        return field.validate(value)
    except (ValueError, SignatureError):
        raise
    except Exception as error:
        raise _UserCodeError(error_text(error)) from error


def _as_text(value: Any) -> str:
    if isinstance(value, str | WrittenNumber):
        return str(value)
    if value is None:
        raise ValueError("null where text was expected")
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _reason(error: Exception) -> str:
    from pydantic import ValidationError

    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if not isinstance(error, ValidationError):
        return str(error) if isinstance(error, ValueError) else error_text(error)
    reasons = []
    for detail in error.errors(include_url=False, include_context=False):
        where = ".".join(str(part) for part in detail["loc"])
        reasons.append(f"{where}: {detail['msg']}" if where else detail["msg"])
    return "; ".join(reasons)
