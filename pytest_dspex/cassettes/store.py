"""The cassette file: a line of JSON for each recorded call, found by its key. PYTEST_DONT_REWRITE

A test function has one file. Its lines are sorted, so a recording gives the same bytes in
whatever order the calls came, and a review shows the calls that changed.

Under pytest-xdist each worker writes what it recorded to a shard beside the file, and the
controller merges the shards when all workers are done. The first line of a shard names its
run: a shard that a killed run left behind is never merged into a later one.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.errors import DSPexError
from dspex_core.messages import Message
from dspex_core.process.foreign_code import foreign_code
from dspex_core.storage.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from dspex_core.messages import Json

_FIELD_TYPES = {"key": str, "model": str, "case": str, "request": dict, "response": dict}
# JSON may hold these as they are, but UTF-8 has no surrogates and many tools end a line at the others.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SIMILAR = 50.0  # percent; below it, a request of another case explains nothing
_CANDIDATES = 8


class CassetteError(DSPexError):
    """A cassette that cannot be read; `path` and `line` (1-based) say where."""

    def __init__(self, message: str, *, path: Path, line: int | None = None) -> None:
        self.path = path
        self.line = line
        super().__init__(f"{path}: {message}" if line is None else f"{path}:{line}: {message}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One recorded call.

    Args:
        key: The hash of all that tells this call from others.
        model: The model that was asked.
        case: The id of the test case that asked.
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
    """The entries of one cassette file, which is read at the first use; absent, it is empty.

    Threads may share it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._loaded: dict[str, Entry] | None = None
        self._asked: set[str] = set()
        self._added: set[str] = set()
        self._changed = False

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries())

    def lookup(self, key: str, *, fresh: bool = False) -> Entry | None:
        """Return the entry of a key, or `None`; with `fresh`, only one that was added in this run."""
        with self._lock:
            self._asked.add(key)
            return None if fresh and key not in self._added else self._entries().get(key)

    def add(self, entry: Entry) -> bool:
        """Take a new entry, or one that replaces what an earlier run recorded; say whether it was taken.

        It is not taken when this run has added its key before: the first answer stays, so that
        all who ask in this run are told the same.
        """
        with self._lock:
            self._asked.add(entry.key)
            if entry.key in self._added:
                return False
            self._added.add(entry.key)
            kept = _entry(json.loads(_line(entry.to_json())))  # as a later run will read it
            if self._entries().get(entry.key) != kept:
                self._entries()[entry.key] = kept
                self._changed = True
            return True

    def nearest(self, request: Json, case: str) -> Entry | None:
        """Return the recorded entry whose request is most like this one, or `None` if none is.

        Entries of the same case come first; where it has none, those of other cases that are
        at least half like it.
        """
        with self._lock:
            entries = list(self._entries().values())
        same_case = [entry for entry in entries if entry.case == case]
        return _most_similar(same_case, request, 0.0) if same_case else _most_similar(entries, request, _SIMILAR)

    def save(self, *, prune: bool = False) -> bool:
        """Write the file if anything changed, and say whether it did.

        Args:
            prune: Drop the entries that nobody asked for in this run. Only right when every
                case of the test function has run.
        """
        with self._lock:
            if prune:
                for key in self._entries().keys() - self._asked:
                    del self._entries()[key]
                    self._changed = True
            if not self._changed:
                return False
            entries = sorted(self._entries().values(), key=lambda entry: (entry.case, entry.key))
            if entries:
                _write(self.path, (entry.to_json() for entry in entries))
            else:
                self.path.unlink(missing_ok=True)
            self._changed = False
            return True

    def save_shard(self, worker: str, *, run: str) -> Path | None:
        """Write what this xdist worker asked and added beside the file, for `merge_shards`.

        Args:
            worker: The worker's name, such as `"gw0"`.
            run: An id that the workers and the controller of one run share.

        Returns:
            The shard's path; `None` when nobody asked for anything.
        """
        with self._lock:
            if not self._asked:
                return None
            shard = self.path.with_name(f"{self.path.name}.{worker}.shard")
            added = [self._entries()[key].to_json() for key in sorted(self._added)]
            _write(shard, [{"run": run, "asked": sorted(self._asked)}, *added])
            return shard

    def _entries(self) -> dict[str, Entry]:
        if self._loaded is None:
            self._loaded = {entry.key: entry for entry in _read(self.path)}
        return self._loaded


def merge_shards(directories: Iterable[Path], *, run: str, prune: Collection[Path] = ()) -> list[Path]:
    """Merge the shards of a run into their cassettes, then remove all shards.

    Shards of other runs are what killed runs left behind: they are removed, not merged.

    Args:
        directories: Where to look for shards, subdirectories included.
        run: The run's id, as given to `save_shard`.
        prune: The cassettes whose test function ran with every case on some worker: entries
            that nobody asked for are dropped from them.

    Returns:
        The cassettes that changed.

    Raises:
        CassetteError: A shard or a cassette is damaged; no shard is removed then.
    """
    shards = sorted({shard.resolve() for folder in directories for shard in folder.rglob("*.jsonl.*.shard")})
    whole = {path.resolve() for path in prune}
    stores = {path: CassetteStore(path) for path in whole}
    for shard in shards:
        path = shard.with_name(shard.name.rsplit(".", 2)[0])
        _merge(shard, run, stores.setdefault(path, CassetteStore(path)))
    changed = [path for path, store in sorted(stores.items()) if store.save(prune=path in whole)]
    for shard in shards:
        shard.unlink(missing_ok=True)
    return changed


def last_message(request: Json) -> str:
    """Return the text by which people know a request: its last message, else all of its JSON."""
    messages = request.get("messages")
    return Message.from_json(messages[-1]).text if messages else _line(request)


def _merge(shard: Path, run: str, store: CassetteStore) -> None:
    lines = _read_lines(shard)
    number, header = next(lines, (1, None))
    if not isinstance(header, dict) or header.keys() != {"run", "asked"}:
        raise CassetteError("not the first line of a cassette's shard; delete the file", path=shard, line=number)
    if header["run"] != run:
        return
    for key in header["asked"]:
        store.lookup(key)
    for number, stored in lines:
        store.add(_checked(stored, shard, number))


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
    """Return a request's JSON with a short text for each image, sound or file: to compare whole ones takes minutes."""
    messages = [[message["role"], Message.from_json(message).text] for message in request.get("messages", ())]
    return _line({**request, "messages": messages})


def _line(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, default=repr)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _write(path: Path, values: Iterable[Json]) -> None:
    write_atomically(path, "".join(f"{_line(value)}\n" for value in values))


def _read(path: Path) -> Iterator[Entry]:
    try:
        for number, stored in _read_lines(path):
            yield _checked(stored, path, number)
    except FileNotFoundError:
        return


def _read_lines(path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
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
        raise ValueError("not a cassette entry (key, model and case are strings, request and response objects)")
    return Entry(**stored)


def _malformed(message: str, path: Path, number: int) -> CassetteError:
    advice = "delete the line, or the whole file, and record it again with --dspex-record=new"
    return CassetteError(f"{message}; {advice}", path=path, line=number)
