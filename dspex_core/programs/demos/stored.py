"""Demos as JSON data, such that a loaded program shows the prompt of the saved one. PYTEST_DONT_REWRITE

A value is stored in the plainest form from which the field's type makes it again: as JSON data where that is enough
(as in DSPy's files), else with the kinds of its parts (`stored_values`). A value that is not what its field declares is
stored as `raw`, and loaded without a check. Classes are named by their bare names, and found among those that the
field's type has: a file cannot name any other class.
"""

from __future__ import annotations

import enum
import json
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from dspex_core.adapters.shown_fields import to_text
from dspex_core.example import Record
from dspex_core.example import plain as record_data
from dspex_core.plain.data import to_json
from dspex_core.plain.stored_values import KIND, NotStorableError, is_plain, restored, stored
from dspex_core.signatures.declared_types import classes_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dspex_core.signatures.signature import Signature, SignatureField

_log = logging.getLogger("dspex")
_RAW = "raw"
_OBJECT = "object"


def demo_to_json(signature: type[Signature], demo: Mapping[str, Any] | Record) -> dict[str, Any]:
    """Return a demo as JSON data. No value fails: one whose type cannot be kept is stored as its prompt shows it."""
    fields = signature.fields
    return {name: _value_to_json(fields.get(name), name, value) for name, value in demo.items()}


def demo_from_json(signature: type[Signature], demo: Mapping[str, Any]) -> dict[str, Any]:
    """Return the demo that `demo_to_json` stored, or one of plain JSON data, with the types of the signature.

    Raises:
        ValueError: A value does not fit its field.
    """
    fields = signature.fields
    return {name: _value_from_json(fields.get(name), value) for name, value in demo.items()}


def plain_demo(demo: Mapping[str, Any] | Record) -> dict[str, Any]:
    """Return a demo as JSON data alone, as prompts show it: for files of DSPy's, which know no kinds."""
    return {name: plainest(value) for name, value in demo.items()}


@dataclass(frozen=True, slots=True)
class _Field:
    """A field with the classes that its type has, by name."""

    declared: SignatureField

    @property
    def classes(self) -> Mapping[str, type]:
        return {kind.__qualname__: kind for kind in classes_in(self.declared.annotation)}

    def as_object(self, value: Any) -> dict[str, Any]:
        """Store a value of one of the classes.

        Raises:
            NotStorableError: It is of another class.
        """
        kind = type(value)
        if self.classes.get(kind.__qualname__) is not kind:
            raise NotStorableError(f"the type of the field does not have the class {kind.__qualname__}")
        content = _enum_content(value) if isinstance(value, enum.Enum) else stored(_fields_of(value), self.as_object)
        return {KIND: _OBJECT, "class": kind.__qualname__, "value": content}

    def from_object(self, kind: str, data: Mapping[str, Any]) -> Any:
        """Return the value that `as_object` stored."""
        cls = self.classes.get(str(data.get("class")))
        if kind != _OBJECT or cls is None:
            raise ValueError(f"the type of {self.declared.name!r} has nothing of the kind {data.get('class', kind)!r}")
        content = data.get("value")
        if issubclass(cls, enum.Enum):
            return _enum_member(cls, content)
        return _adapter(cls).validate_python(restored(content, self.from_object), by_alias=True, by_name=True)


def _value_to_json(declared: SignatureField | None, name: str, value: Any) -> Any:
    if is_plain(value) and (declared is None or (declared.is_text and type(value) is str)):
        return value
    plain = _attempt(lambda: record_data(value))
    if declared is not None and (declared.is_tools or (value is None and not declared.is_input)):
        return plain if is_plain(plain) else as_shown(value)
    for exactly in (True, False):
        for data in _forms(declared, value, plain):
            if data is not _FAILED and _attempt(partial(_keeps, declared, data, value, exactly=exactly)) is True:
                return data
    kind = type(value).__name__
    _log.warning("the demo value of %r (%s) is stored as a prompt shows it, without its type", name, kind)
    return {KIND: _RAW, "value": as_shown(value)}


def _forms(declared: SignatureField | None, value: Any, plain: Any) -> Iterator[Any]:
    """Yield the stored forms of a value, the plainest first."""
    if is_plain(plain):
        yield plain
    if declared is not None:
        field = _Field(declared)
        yield _attempt(lambda: stored(_dumped(declared, value, "json", by_alias=True)))
        yield _attempt(lambda: stored(_dumped(declared, value, "json", by_alias=False)))
        yield _attempt(lambda: stored(value))
        yield _attempt(lambda: stored(_dumped(declared, value, "python", by_alias=False), field.as_object))
        yield _attempt(lambda: stored(value, field.as_object))
        yield _attempt(lambda: {KIND: _RAW, "value": stored(value, field.as_object)})
    else:
        yield _attempt(lambda: {KIND: _RAW, "value": stored(value)})


def _keeps(declared: SignatureField | None, data: Any, value: Any, *, exactly: bool) -> bool:
    """Whether a stored form gives the value back, as the field's type has it where it fits.

    Args:
        declared: The field.
        data: The stored form.
        value: The value.
        exactly: Whether the two must be equal; some classes have values that are equal to none, or compare what no
            prompt shows.
    """
    found = _attempt(lambda: _value_from_json(declared, data))
    if found is _FAILED or _shown(found) != _shown(value):
        return False
    fitting = value
    if declared is not None and not (isinstance(data, dict) and data.get(KIND) == _RAW):
        fitting = _attempt(lambda: declared.validate(value))
    if fitting is _FAILED or type(found) is not type(fitting):
        return False
    if exactly:
        return _attempt(lambda: bool(found == fitting)) is True or repr(found) == repr(fitting)
    return _alike(found, fitting)


def _value_from_json(declared: SignatureField | None, data: Any) -> Any:
    other = None if declared is None else _Field(declared).from_object
    if isinstance(data, dict) and data.get(KIND) == _RAW:
        return restored(data.get("value"), other)
    if declared is None:
        return restored(data)
    if declared.is_tools or (data is None and not declared.is_input):
        return data  # a tool's description, and an output that the model left out
    value = data if is_plain(data) else restored(data, other)
    try:
        return declared.validate(value)
    except ValueError:
        named = _attempt(lambda: declared.type_adapter.validate_python(value, by_alias=True, by_name=True))
        if named is _FAILED:
            raise
        return named


def _alike(found: Any, value: Any) -> bool:
    """Whether two values that prompts show alike are of the same types; equal where their class says what that is."""
    if type(found) is not type(value):
        return False
    if isinstance(value, dict):
        return len(found) == len(value) and all(map(_alike, _both(found), _both(value)))
    if isinstance(value, list | tuple):
        return len(found) == len(value) and all(map(_alike, found, value))
    if isinstance(value, set | frozenset):
        return bool(found == value)
    return not isinstance(value, enum.Enum | str | int) or bool(found == value)


def _both(mapping: Mapping[Any, Any]) -> list[Any]:
    return [*mapping.keys(), *mapping.values()]


def _dumped(declared: SignatureField, value: Any, mode: Literal["json", "python"], *, by_alias: bool) -> Any:
    return declared.type_adapter.dump_python(value, mode=mode, round_trip=True, by_alias=by_alias, warnings=False)


def _fields_of(value: Any) -> Any:
    dumped = _adapter(type(value)).dump_python(value, mode="python", round_trip=True, by_alias=False, warnings=False)
    if dumped is value:
        raise NotStorableError(f"{value!r} has no fields that pydantic knows")
    return dumped


def _enum_content(member: enum.Enum) -> Any:
    return member.name if member.name in type(member).__members__ else {"value": stored(member.value)}


def _enum_member(cls: type[enum.Enum], content: Any) -> enum.Enum:
    if isinstance(content, dict):  # flags of several bits have a value alone
        return cls(restored(content.get("value")))
    if content not in cls.__members__:
        raise ValueError(f"{cls.__name__} has no member {content!r}")
    return cls[content]


def _adapter(cls: type) -> Any:
    import pydantic  # the field's type has loaded it

    return pydantic.TypeAdapter(cls)


def _shown(value: Any) -> Any:
    """Return a value as a prompt shows it; one that no prompt can show is like any other of that kind."""
    return _attempt(lambda: to_text(value))


def plainest(value: Any) -> Any:
    """Return a value of any type as data that JSON holds: the first that works of data, pydantic's data, and text."""
    for write in (lambda: record_data(value), lambda: to_json(value)):
        data = _attempt(write)
        if data is not _FAILED and _is_json(data):
            return data
    for write in (lambda: to_text(value), lambda: str(value)):
        text = _attempt(write)
        if text is not _FAILED:
            return text.encode("utf-8", "replace").decode()
    return f"<{type(value).__name__}>"


def _is_json(data: Any) -> bool:
    written = _attempt(lambda: json.dumps(data, allow_nan=False, ensure_ascii=False).encode())
    return written is not _FAILED and _attempt(lambda: json.loads(written) == data) is True


def as_shown(value: Any) -> Any:
    """Return a value of any type as JSON data, as a prompt shows it."""
    shown = _attempt(lambda: stored(to_json(value)))
    return plainest(value) if shown is _FAILED else shown


_FAILED = object()


def _attempt(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception:  # noqa: BLE001  validators and serializers are the user's code
        return _FAILED
