"""How a cassette is laid out in its file, for its readers in a review. PYTEST_DONT_REWRITE

Each line is a JSON object. A first line names the format. Then come the parts that requests have in common
(`parts`), sorted by their names. Then, sorted by case, the calls: a line with a request, and for each call that asks it
a line with the case, the reply and what finds it. So a changed answer changes one short line, below its question.

In the first format, each line was a call with its whole request. It is still read, and written anew by the next
recording. A shard (`journal`) has such lines, as it is only appended to.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dspex_core.plugin_api import read_file, write_atomically
from pytest_dspex.cassettes.entry import CassetteError, Entry, line_of
from pytest_dspex.cassettes.parts import Packing, Unpacking, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from dspex_core.plugin_api import Json

_HEADER = {"format": "dspex-cassette", "version": 2}
_RECORD_AGAIN = "delete the line, or the whole file, and record it again with --dspex-record=new"
_CONFLICT = (b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||")
_FIRST = {name: place for place, name in enumerate(("text", "outputs", "messages", "body", "error"))}
_PARTS_OF_ENTRY = {"case": str, "reply": dict, "request": str, "key": str}
_SHOWN_KEY = 12


@dataclass(frozen=True, slots=True)
class Contents:
    """The content of a cassette file.

    Args:
        entries: The entries by their keys.
        is_current: Whether the file has the format that is written today.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    is_current: bool = True


def write_cassette(path: Path, entries: Iterable[Entry]) -> None:
    """Write a cassette, the same for equal entries in any order.

    Raises:
        OSError: The file cannot be written; the old one stays.
    """
    packing, written, calls = Packing(), set[str](), list[str]()
    asked = [({"model": entry.model, "asks": packing.packed(entry.request)}, entry) for entry in entries]
    named = [(name_of("request", request), request, entry) for request, entry in asked]
    for name, request, entry in sorted(named, key=lambda call: (call[2].case, call[0], call[2].number, call[2].key)):
        if name not in written:
            written.add(name)
            calls.append(line_of({"request": name, **request, "asks": _ordered(request["asks"])}, is_sorted=False))
        calls.append(line_of(_call(entry, request=name), is_sorted=False))
    parts = [line_of({"part": name, "value": packing.parts[name]}, is_sorted=False) for name in sorted(packing.parts)]
    lines = [line_of(_HEADER), *parts, *calls]
    write_atomically(path, "".join(f"{line}\n" for line in lines))


def _call(entry: Entry, *, request: str) -> Json:
    more = {"n": entry.number, "recorded": entry.recorded}
    return {
        "case": entry.case,
        "reply": _ordered(entry.response),
        **{name: value for name, value in more.items() if value},
        "request": request,
        "key": entry.key,
    }


def read_cassette(path: Path) -> Contents:
    """Read a cassette; without a file it is empty.

    Raises:
        CassetteError: The file is damaged.
    """
    lines = list(_lines(path, may_be_cut=False))
    parts, requests = dict[str, tuple[int, Any]](), dict[str, tuple[int, Any]]()
    whole, calls, is_current = list[tuple[int, Any]](), list[tuple[int, Any]](), False
    for number, stored in lines:
        if not isinstance(stored, dict):
            whole.append((number, stored))
        elif "format" in stored:
            is_current = _is_current(stored, path, number)
        elif "part" in stored:
            _define(parts, stored, path=path, number=number, kind="part")
        elif "reply" in stored:
            calls.append((number, stored))
        elif "request" in stored and isinstance(stored["request"], str):
            _define(requests, stored, path=path, number=number, kind="request")
        else:
            whole.append((number, stored))
    reader = _Reader(path, {name: stored.get("value") for name, (_, stored) in parts.items()}, requests)
    read = [*((number, _whole_entry(stored, path, number)) for number, stored in whole)]
    read += [(number, reader.entry(stored, number)) for number, stored in calls]
    return Contents(_by_key(read, path), is_current or not lines)


def read_shard(path: Path) -> Iterator[Entry]:
    """Yield the entries of a shard, whose last line may be cut.

    Raises:
        CassetteError: The shard is damaged.
    """
    for number, stored in _lines(path, may_be_cut=True):
        yield _whole_entry(stored, path, number)


class _Reader:
    """Reads the calls of a file, whose requests are stored apart."""

    def __init__(self, path: Path, parts: dict[str, Any], requests: dict[str, tuple[int, Any]]) -> None:
        self._path = path
        self._unpacking = Unpacking(parts)
        self._requests = requests
        self._read: dict[str, tuple[str, dict[str, Any]]] = {}

    def entry(self, stored: dict[str, Any], number: int) -> Entry:
        """Return the entry of a call's line."""
        types = {name: type(stored[name]) for name in _PARTS_OF_ENTRY if name in stored}
        count, recorded = stored.get("n", 0), stored.get("recorded", "")
        extra = stored.keys() - {*_PARTS_OF_ENTRY, "n", "recorded"}
        if types != _PARTS_OF_ENTRY or extra or type(count) is not int or not isinstance(recorded, str):
            message = "not a recorded call (case, request and key must be strings, reply an object)"
            raise damaged(message, self._path, number)
        model, request = self._request(stored["request"], number)
        return Entry(stored["key"], model, stored["case"], request, stored["reply"], count, recorded)

    def _request(self, name: str, number: int) -> tuple[str, dict[str, Any]]:
        if name not in self._read:
            if name not in self._requests:
                raise damaged(f"the request {name!r} is not in this file", self._path, number)
            place, stored = self._requests[name]
            model, asks = stored.get("model"), stored.get("asks")
            if not isinstance(model, str) or not isinstance(asks, dict):
                raise damaged("not a request (model must be a string, asks an object)", self._path, place)
            try:
                self._read[name] = model, self._unpacking.unpacked(asks)
            except ValueError as error:
                raise damaged(str(error), self._path, place) from error
        return self._read[name]


def _is_current(stored: dict[str, Any], path: Path, number: int) -> bool:
    if stored != _HEADER:
        message = (
            f"a cassette of another format ({stored.get('format')!r}, version {stored.get('version')!r}); this version "
            f"of pytest-dspex reads {_HEADER['format']!r} up to version {_HEADER['version']}: upgrade it"
        )
        raise CassetteError(message, path=path, line=number)
    return True


def _define(known: dict[str, tuple[int, Any]], stored: dict[str, Any], *, path: Path, number: int, kind: str) -> None:
    """Note a part or a request; a merge of two branches may leave one twice."""
    before, first = known.setdefault(str(stored[kind]), (number, stored))
    if first != stored:
        raise damaged(f"the {kind} {stored[kind]!r} is already in line {before}, with another content", path, number)


def _by_key(read: list[tuple[int, Entry]], path: Path) -> dict[str, Entry]:
    entries, lines = dict[str, Entry](), dict[str, int]()
    for number, entry in read:
        if entry.key in entries:
            message = (
                f"the key {entry.key[:_SHOWN_KEY]!r} of case {entry.case!r} is already in line {lines[entry.key]}, "
                "so one call has two replies; delete one of the two lines"
            )
            raise CassetteError(message, path=path, line=number)
        entries[entry.key], lines[entry.key] = entry, number
    return entries


def _ordered(value: Any) -> Any:
    """Return JSON data whose names are sorted, but with the answer first."""
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: _ordered(value[name]) for name in sorted(value, key=lambda name: (_FIRST.get(name, 9), name))}


def _whole_entry(stored: Any, path: Path, number: int) -> Entry:
    try:
        return Entry.from_json(stored)
    except ValueError as error:
        raise damaged(str(error), path, number) from error


def _lines(path: Path, *, may_be_cut: bool) -> Iterator[tuple[int, Any]]:
    try:
        lines = read_file(path).split(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise CassetteError(f"the cassette cannot be read: {error.strerror}", path=path) from error
    for number, line in enumerate(lines[:-1] if may_be_cut else lines, 1):
        if not line.strip():
            continue
        if line.startswith(_CONFLICT):
            message = (
                "a merge conflict of git is not resolved; keep one side's lines, and record what is missing with "
                "--dspex-record=new"
            )
            raise CassetteError(message, path=path, line=number)
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            raise damaged(f"not a line of JSON ({error})", path, number) from error


def damaged(message: str, path: Path, number: int) -> CassetteError:
    """Return the error of a damaged line, with what to do about it."""
    return CassetteError(f"{message}; {_RECORD_AGAIN}", path=path, line=number)
