"""The cassette file: a line of JSON for each recorded call, found by its key. PYTEST_DONT_REWRITE

A test function has one file. Its lines are sorted, so a recording gives the same bytes whatever the
order of the calls, and a review shows the calls that changed.

A response is written to a shard beside the file as soon as it arrives (`journal`). The shards are merged into the file
when the test function has run; under pytest-xdist, by the controller when all workers are done. A merge reads the file
again first, under a lock, so that simultaneous runs do not overwrite each other's entries.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dspex_core import DSPexError, Message
from dspex_core.plugin_api import foreign_code, write_atomically
from pytest_dspex.cassettes.exchange import prompt_of
from pytest_dspex.cassettes.journal import cassette_of, is_left_behind, is_of_run, shards_of
from pytest_dspex.cassettes.locks import exclusive, is_abandoned

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from dspex_core.plugin_api import Json
    from pytest_dspex.cassettes.journal import Journal

_FIELD_TYPES = {"key": str, "model": str, "case": str, "request": dict, "response": dict}
# JSON allows these characters unescaped, but UTF-8 has no surrogates and many tools end a line at the others.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SIMILAR = 50.0  # percent; a request of another case that is less similar does not help
_CANDIDATES = 8


class CassetteError(DSPexError):
    """A cassette cannot be read; `path` and `line` (1-based) say where."""

    def __init__(self, message: str, *, path: Path, line: int | None = None) -> None:
        self.path = path
        self.line = line
        super().__init__(f"{path}: {message}" if line is None else f"{path}:{line}: {message}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One recorded call.

    Args:
        key: The hash of the model, the case and the request.
        model: The model of the call.
        case: The id of the test case that made the call.
        request: The stored form of the request.
        response: The stored form of the response.
    """

    key: str
    model: str
    case: str
    request: Json
    response: Json

    def to_json(self) -> Json:
        """Return the stored form."""
        return {
            "key": self.key,
            "model": self.model,
            "case": self.case,
            "request": self.request,
            "response": self.response,
        }


class CassetteStore:
    """The entries of one cassette file, which is read at the first use; without a file the store is empty.

    Threads may share a store.
    """

    def __init__(self, path: Path, *, journal: Journal | None = None) -> None:
        self.path = path
        self._journal = journal
        self._lock = threading.RLock()
        self._loaded: dict[str, Entry] | None = None
        self._asked: set[str] = set()
        self._added: set[str] = set()
        self._changed = False

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries())

    def lookup(self, key: str, *, fresh: bool = False) -> Entry | None:
        """Return the entry of a key, or `None`; with `fresh`, only an entry that was added in this run."""
        with self._lock:
            self._asked.add(key)
            return None if fresh and key not in self._added else self._entries().get(key)

    def add(self, entry: Entry) -> bool:
        """Add an entry, or replace the one of an earlier run; return whether it was added.

        An entry is not added if this run has added its key before: the first response stays, so that
        equal calls in one run return the same response.
        """
        with self._lock:
            self._asked.add(entry.key)
            if entry.key in self._added:
                return False
            self._added.add(entry.key)
            kept = _entry(json.loads(_line(entry.to_json())))  # equal to the entry that a later run reads
            if self._entries().get(entry.key) != kept:
                self._entries()[entry.key] = kept
                self._changed = True
                if self._journal is not None:
                    self._journal.append(_line(kept.to_json()))
            return True

    def nearest(self, request: Json, case: str) -> Entry | None:
        """Return the recorded entry whose request is most similar to this one, or `None`.

        Entries of the same case are preferred. If the case has no entry, those of other cases count
        that are at least 50 % similar.
        """
        with self._lock:
            entries = list(self._entries().values())
        same_case = [entry for entry in entries if entry.case == case]
        return _most_similar(same_case, request, 0.0) if same_case else _most_similar(entries, request, _SIMILAR)

    def save(self, *, prune: bool = False, cases: Collection[str] | None = None) -> bool:
        """Merge the new entries into the file, which other runs may have changed; return whether the file changed.

        The entries of forked children are merged, too. The shard is removed when all of it is in the file.

        Args:
            prune: Whether to drop the entries that were not looked up in this run. Set it only if
                every case of the test function has run, or `cases` names those that have.
            cases: The cases whose entries may be dropped; by default, all.

        Raises:
            CassetteError: A shard or the cassette is damaged; the shards stay.
            OSError: The file cannot be written; the old file and the shard stay.
        """
        with self._lock:
            unused = _unused(self._entries().values(), self._asked, cases=cases) if prune else set()
            journal = self._journal
            own = [] if journal is None else [shard for shard in shards_of(self.path) if self._is_of_child(shard)]
            if not (self._changed or unused or own):
                return False
            self.path.parent.mkdir(parents=True, exist_ok=True)
            added = {key: self._entries()[key] for key in self._added}
            with exclusive(self.path.parent):
                self._loaded, changed = _merge(self.path, added, own, unused=unused)
            if journal is not None:
                journal.remove()
            self._changed = False
            return changed

    def keep_shard(self) -> None:
        """Write the shard of this process to the disk completely, for `merge_shards`.

        Raises:
            OSError: The shard cannot be written.
        """
        with self._lock:
            if self._journal is None:
                return
            try:
                self._journal.close()
            except OSError:  # there may be room by now
                _write(self._journal.path, (self._entries()[key].to_json() for key in sorted(self._added)))

    @property
    def asked(self) -> frozenset[str]:
        """The keys that were looked up or added in this run."""
        return frozenset(self._asked)

    def _is_of_child(self, shard: Path) -> bool:
        assert self._journal is not None, "a store without a journal has no shards"
        return shard != self._journal.path and is_of_run(shard, self._journal.run)

    def _entries(self) -> dict[str, Entry]:
        if self._loaded is None:
            if self._journal is not None:
                with contextlib.suppress(OSError):  # the shards stay, for a run that can write
                    _take_over(self.path, self._journal.run)
            self._loaded = {entry.key: entry for entry in _read(self.path)}
        return self._loaded


def merge_shards(
    directories: Iterable[Path],
    *,
    run: str,
    asked: Mapping[Path, Collection[str]] = MappingProxyType({}),
    cases: Mapping[Path, Collection[str]] = MappingProxyType({}),
) -> list[Path]:
    """Merge the shards of a run, and the leftover shards of killed runs, into their cassettes.

    Shards of other runs that are still going on stay as they are.

    Args:
        directories: The folders to search for shards, with their subfolders.
        run: The run's id, as given to the journals.
        asked: For each cassette whose test function ran with all of its cases: the keys that the workers looked up.
            All other entries of the cassette are dropped.
        cases: For each cassette of which not all cases have run: the cases whose entries may be dropped.

    Returns:
        The cassettes that changed.

    Raises:
        CassetteError: A shard or a cassette is damaged; its shards stay.
        OSError: A cassette cannot be written; the old one and its shards stay.
    """
    used = {path.resolve(): (keys, cases.get(path)) for path, keys in asked.items()}
    shards = {shard.resolve() for folder in directories for shard in folder.rglob("*.jsonl.*.shard")}
    cassettes = {cassette_of(shard) for shard in shards} | {path for path in used if path.exists()}
    return [path for path in sorted(cassettes) if _merge_shards_of(path, run, used=used.get(path))]


def _merge_shards_of(path: Path, run: str, *, used: tuple[Collection[str], Collection[str] | None] | None) -> bool:
    with exclusive(path.parent):
        shards = [shard for shard in shards_of(path) if is_of_run(shard, run) or is_left_behind(shard, run)]
        unused = set() if used is None else _unused(_read(path), used[0], cases=used[1])
        return _merge(path, {}, shards, unused=unused)[1]


def _unused(entries: Iterable[Entry], asked: Collection[str], *, cases: Collection[str] | None) -> set[str]:
    return {entry.key for entry in entries if cases is None or entry.case in cases} - set(asked)


def _take_over(path: Path, run: str) -> None:
    """Merge the leftover shards of killed runs."""
    if not any(is_left_behind(shard, run) for shard in shards_of(path)):
        return
    with exclusive(path.parent):
        _merge(path, {}, [shard for shard in shards_of(path) if is_left_behind(shard, run)], unused=())


def _merge(
    path: Path, added: Mapping[str, Entry], shards: Sequence[Path], *, unused: Collection[str]
) -> tuple[dict[str, Entry], bool]:
    """Write a cassette anew from its entries, the added ones and those of the shards; then remove the shards."""
    before = {entry.key: entry for entry in _read(path)}
    kept = {key: entry for key, entry in before.items() if key not in unused}
    recorded = {entry.key: entry for shard in shards for entry in _read(shard, may_be_cut=True)}
    entries = {**kept, **recorded, **added}
    changed = entries != before
    if changed and entries:
        ordered = sorted(entries.values(), key=lambda entry: (entry.case, entry.key))
        _write(path, (entry.to_json() for entry in ordered))
    elif changed:
        path.unlink(missing_ok=True)
    for shard in shards:
        if is_abandoned(shard):  # otherwise a child process may still write; the next recording merges the rest
            shard.unlink(missing_ok=True)
    return entries, changed


def last_message(request: Json) -> str:
    """Return the text of a request's last message; for a request without messages, its JSON."""
    messages = request.get("messages")
    if messages:
        return Message.from_json(messages[-1]).text
    return prompt_of(request.get("body")) or _line(request)


def _most_similar(entries: list[Entry], request: Json, at_least: float) -> Entry | None:
    with foreign_code():
        from rapidfuzz import fuzz, process  # only a miss needs it

    last = [last_message(entry.request) for entry in entries]
    whole = _readable(request)
    with foreign_code():
        found = process.extract(
            last_message(request), last, scorer=fuzz.ratio, limit=_CANDIDATES, score_cutoff=at_least
        )
        ranked = [(score, fuzz.ratio(whole, _readable(entries[index].request)), index) for _, score, index in found]
    return entries[max(ranked)[2]] if ranked else None


def _readable(request: Json) -> str:
    """Return a request's JSON with a short text in place of each image, sound or file: comparing these is slow."""
    messages = [[message["role"], Message.from_json(message).text] for message in request.get("messages", ())]
    return _line({**request, "messages": messages})


def _line(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, default=repr)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _write(path: Path, values: Iterable[Json]) -> None:
    write_atomically(path, "".join(f"{_line(value)}\n" for value in values))


def _read(path: Path, *, may_be_cut: bool = False) -> Iterator[Entry]:
    try:
        for number, stored in _read_lines(path, may_be_cut=may_be_cut):
            yield _checked(stored, path, number)
    except FileNotFoundError:
        return


def _read_lines(path: Path, *, may_be_cut: bool) -> Iterator[tuple[int, Any]]:
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1] if may_be_cut else lines, 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except ValueError as error:
            raise _malformed(f"not a line of JSON ({error})", path, number) from error


def _checked(stored: Any, path: Path, number: int) -> Entry:
    try:
        return _entry(stored)
    except ValueError as error:
        raise _malformed(str(error), path, number) from error


def _entry(stored: Any) -> Entry:
    if not isinstance(stored, dict) or {name: type(value) for name, value in stored.items()} != _FIELD_TYPES:
        raise ValueError("not a cassette entry (key, model and case must be strings, request and response objects)")
    return Entry(**stored)


def _malformed(message: str, path: Path, number: int) -> CassetteError:
    advice = "delete the line, or the whole file, and record it again with --dspex-record=new"
    return CassetteError(f"{message}; {advice}", path=path, line=number)
