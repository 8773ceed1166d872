"""The store of recorded calls, each found by its key. PYTEST_DONT_REWRITE

A test function has one file (`layout`). A recording gives the same bytes whatever the order of the calls.

A response is written to a shard beside the file as soon as it arrives (`journal`). The shards are merged into the file
when the test function has run; under pytest-xdist, by the controller when all workers are done. A merge reads the file
again first, under a lock, so that simultaneous runs do not overwrite each other's entries.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import threading
from collections import Counter
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from dspex_core import Message
from dspex_core.plugin_api import foreign_code, write_atomically
from pytest_dspex.cassettes.entry import CassetteError, Entry, line_of, oldest_date
from pytest_dspex.cassettes.journal import cassette_of, is_left_behind, is_of_run, shards_of
from pytest_dspex.cassettes.layout import read_cassette, read_shard, write_cassette
from pytest_dspex.cassettes.locks import exclusive, is_abandoned
from pytest_dspex.cassettes.repeats import in_order, split_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from dspex_core.plugin_api import Json
    from pytest_dspex.cassettes.journal import Journal

_SIMILAR = 50.0  # percent; a request of another case that is less similar does not help
_CANDIDATES = 8


class CassetteStore:
    """The entries of one cassette file, which is read at the first use; without a file the store is empty.

    Threads may share a store. `counts` has how many calls its recorders have `"replayed"`, `"recorded"` and `"missed"`.

    Args:
        path: The file.
        journal: Where entries that are added are written at once.
        entries: What a store in another process has read of the file, which is then left alone.
        max_age: The days after which a response is old. An old one that is recorded again gets a new date.
    """

    def __init__(
        self,
        path: Path,
        *,
        journal: Journal | None = None,
        entries: Iterable[Entry] | None = None,
        max_age: int | None = None,
    ) -> None:
        self.path = path
        self.counts = Counter[str]()
        self._oldest = oldest_date(max_age)
        self._today = dt.datetime.now(dt.UTC).date().isoformat()
        self._journal = journal
        self._lock = threading.RLock()
        self._loaded: dict[str, Entry] | None = None
        self._damage: CassetteError | None = None
        self._repeats: dict[str, dict[str, None]] = {}
        self._asked: set[str] = set()
        self._added: set[str] = set()
        self._changed = False
        self._dropped: list[Entry] = []
        self._first: dict[str, Entry | None] = {}  # what the entries that this run has changed were before
        if entries is not None:
            self._load(entries)

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries())

    def count(self, outcome: str) -> None:
        """Count a call."""
        with self._lock:
            self.counts[outcome] += 1

    def lookup(self, key: str, *, fresh: bool = False) -> Entry | None:
        """Return the entry of a key, or `None`; with `fresh`, only an entry that was added in this run."""
        with self._lock:
            self._asked.add(key)
            return None if fresh and key not in self._added else self._entries().get(key)

    def labels(self, key: str, *, fresh: bool = False) -> Collection[str]:
        """Return the labels of the recorded replies to equal requests; with `fresh`, of those added in this run."""
        with self._lock:
            self._entries()
            labels = self._repeats.get(key, {})
            return [label for label in labels if f"{key}#{label}" in self._added] if fresh else labels

    def of_case(self, case: str, *, fresh: bool = False) -> tuple[Entry, ...]:
        """Return the entries of a case; with `fresh`, those that were added in this run."""
        with self._lock:
            entries = self._entries().values()
            return tuple(each for each in entries if each.case == case and (not fresh or each.key in self._added))

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
            kept = Entry.from_json(json.loads(line_of(entry.to_json())))  # equal to the entry that a later run reads
            before = self._entries().get(entry.key)
            if before != kept or before.recorded < self._oldest:  # else a new date would be a line in a diff
                self._first.setdefault(entry.key, before)
                kept = replace(kept, recorded=self._today)
                self._keep(kept)
                self._changed = True
                if self._journal is not None:
                    self._journal.append(line_of(kept.to_json()))
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
            self._dropped += [self._entries()[key] for key in unused]
            with exclusive(self.path.parent):
                entries, changed = _merge(self.path, added, own, unused=unused)
            self._load(entries.values())
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
                lines = (line_of(self._entries()[key].to_json()) for key in sorted(self._added))
                write_atomically(self._journal.path, "".join(f"{line}\n" for line in lines))

    @property
    def used(self) -> set[str]:
        """The keys of the entries that were looked up or added in this run."""
        return self._asked & self._entries().keys()

    def dates(self, keys: Iterable[str]) -> dict[str, str]:
        """Return since when each of some entries has its response; an empty text if that is not known."""
        return {key: self._entries()[key].recorded for key in keys}

    def changes(self) -> list[tuple[Entry, Entry]]:
        """Return the entries of this run that have another response than before, each after the one before.

        A request that is new in a case stands for the one that the case has not asked any more, if there is one each.
        """
        with self._lock:
            entries = self._entries()
            again = [(before, entries[key]) for key, before in self._first.items() if before and key in entries]
            pairs = [(before, after) for before, after in again if before != after]
            new = [entries[key] for key, before in self._first.items() if before is None and key in entries]
            unasked = [entry for entry in entries.values() if entry.key not in self._asked] + self._dropped
        for entry in new:
            left = [each for each in unasked if each.case == entry.case]
            if len(left) == 1 and sum(each.case == entry.case for each in new) == 1:
                pairs.append((left[0], entry))
        return pairs

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
            if self._damage is not None:  # found at the first call; the others do not read the file again
                raise self._damage.with_traceback(None)
            try:
                contents = read_cassette(self.path)
            except CassetteError as error:
                self._damage = error
                raise
            self._load(contents.entries.values())
            self._changed |= not contents.is_current  # a recording writes it in the format of today
        assert self._loaded is not None, "it was just loaded"
        return self._loaded

    def _load(self, entries: Iterable[Entry]) -> None:
        loaded = {entry.key: entry for entry in entries}
        self._loaded, self._repeats = {}, {}
        for key in sorted(loaded, key=in_order):
            self._keep(loaded[key])

    def _keep(self, entry: Entry) -> None:
        self._entries()[entry.key] = entry
        key, label = split_key(entry.key)
        if label:
            self._repeats.setdefault(key, {})[label] = None


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
        unused = set() if used is None else _unused(read_cassette(path).entries.values(), used[0], cases=used[1])
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
    before = read_cassette(path)
    kept = {key: entry for key, entry in before.entries.items() if key not in unused}
    recorded = {entry.key: entry for shard in shards for entry in read_shard(shard)}
    new = {key: _latest(entry, kept.get(key)) for key, entry in {**recorded, **added}.items()}
    entries = {**kept, **new}
    is_dated = any(kept[key].recorded != entry.recorded for key, entry in new.items() if key in kept)
    changed = entries != before.entries or is_dated or not before.is_current
    if changed and entries:
        write_cassette(path, entries.values())
    elif changed:
        path.unlink(missing_ok=True)
    for shard in shards:
        if is_abandoned(shard):  # otherwise a child process may still write; the next recording merges the rest
            shard.unlink(missing_ok=True)
    return entries, changed


def _latest(entry: Entry, kept: Entry | None) -> Entry:
    """Return an entry; the one in the file if that is the same with a later date."""
    return kept if kept is not None and kept == entry and kept.recorded > entry.recorded else entry


def drop(path: Path, keys: Collection[str]) -> None:
    """Remove entries from a cassette; a cassette without entries is removed.

    Raises:
        CassetteError: The cassette is damaged.
        OSError: It cannot be written.
    """
    with exclusive(path.parent):
        _merge(path, {}, (), unused=keys)


def last_message(request: Json) -> str:
    """Return the text of a request's last message; for a request without messages, its JSON."""
    messages = request.get("messages")
    if messages:
        return Message.from_json(messages[-1]).text
    from pytest_dspex.cassettes.exchange import prompt_of  # only calls of other libraries need it

    return prompt_of(request.get("body")) or line_of(request)


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
    return line_of({**request, "messages": messages})
