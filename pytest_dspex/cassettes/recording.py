"""The cassettes of a session: of test functions and shared fixtures, and when each is written. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import contextlib
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dspex_core.plugin_api import UsageTracker
from pytest_dspex.cassettes.entry import CassetteError
from pytest_dspex.cassettes.live_recorder import spent
from pytest_dspex.cassettes.places import folder_beside
from pytest_dspex.collecting.cases import names_of
from pytest_dspex.hookspecs.redacting import redactor
from pytest_dspex.keys import KNOWN_SECRETS
from pytest_dspex.options import OPTIONS, is_worker

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pytest

    from pytest_dspex.cassettes.lanes import Lanes
    from pytest_dspex.cassettes.live_recorder import LiveRecorder
    from pytest_dspex.cassettes.lm_recorder import CassetteRecorder
    from pytest_dspex.cassettes.masking import Mask
    from pytest_dspex.cassettes.places import Place
    from pytest_dspex.cassettes.repeats import Taken
    from pytest_dspex.cassettes.store import CassetteStore

_RUN_KEY = "dspex_run"
_CENTS = 0.1  # dollars; less is shown with more digits


@dataclass(slots=True)
class Run:
    """The state of a test function or a fixture that has a cassette.

    Args:
        cassette: The cassette's path.
        cases: The number of the function's cases, including those that this session does not run; for a fixture `None`.
        ran: The node ids of the cases that ran to their end or to a failed assertion; for a fixture, the cases.
        cut: Those of them that ended with a failed assertion, before which calls may not have been made.
        asked: The keys that workers looked up.
    """

    cassette: Path
    cases: int | None
    ran: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)

    @property
    def is_whole(self) -> bool:
        """Whether all cases ran to their end; then the entries that were not looked up are not used any more."""
        return self.cases is None or len(self.ran) >= self.cases

    @property
    def droppable(self) -> set[str] | None:
        """The cases whose unused entries may be dropped then: of a fixture those that ran, else all."""
        return self.ran if self.cases is None else None


class Recording:
    """The cassettes of this process, one for each test function and for each fixture of a wider scope.

    Args:
        config: The session's.
        lanes: The lanes of its threads.
        live: The recorder that counts the calls of a live session.
    """

    def __init__(self, config: pytest.Config, *, lanes: Lanes | None = None, live: LiveRecorder | None = None) -> None:
        self._config = config
        self._mode = config.stash[OPTIONS].record
        self._lanes = lanes
        self._live = live
        self._tracker = UsageTracker() if self._mode != "none" else None
        self._stores: dict[str, CassetteStore] = {}
        self._runs: dict[str, Run] = {}
        self._mask: Mask | None = None
        self._upkeep: dict[str, Any] = {}
        self._problems: list[str] = []
        self._notes: list[str] = []
        self._run = config.workerinput[_RUN_KEY] if is_worker(config) else _new_run()  # type: ignore[attr-defined]  # xdist's

    def recorder(self, place: Place, *, process: int, taken: Taken | None = None) -> CassetteRecorder:
        """Return a recorder for the LM calls made in this process, or in one that it was forked from.

        `taken` are the replies that an earlier recorder of the place has given.
        """
        from pytest_dspex.cassettes.lm_recorder import CassetteRecorder

        if place.owner not in self._stores:
            self._open(place)
        return CassetteRecorder(
            self._stores[place.owner],
            case=place.case,
            record=self._mode,
            process=process,
            lanes=self._lanes,
            tracker=self._tracker,
            mask=self._mask,
            taken=taken,
        )

    def _open(self, place: Place) -> None:
        """Open the cassette of a test function or a fixture."""
        from pytest_dspex.cassettes.journal import Journal
        from pytest_dspex.cassettes.masking import Mask
        from pytest_dspex.cassettes.store import CassetteStore

        run = self._runs.setdefault(place.owner, Run(place.cassette, place.cases))
        journal = Journal(run.cassette, run=self._run) if self._mode != "none" else None
        max_age = self._config.stash[OPTIONS].max_age
        self._stores[place.owner] = CassetteStore(run.cassette, journal=journal, max_age=max_age)
        if self._mask is None:
            self._mask = Mask(redactor(self._config))
            self._config.stash[KNOWN_SECRETS] = self._mask.known

    def was_set_up(self, place: Place) -> None:
        """Note that a fixture was set up."""
        if place.owner in self._runs:
            self._runs[place.owner].ran.add(place.case)

    def ran(self, item: pytest.Item, *, has_failed: bool) -> None:
        """Note that a test ran to its end, or to a failed assertion."""
        function, _ = names_of(item)
        if function in self._runs:
            run = self._runs[function]
            run.ran.add(item.nodeid)
            (run.cut.add if has_failed else run.cut.discard)(item.nodeid)

    def save_early(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Write a function's cassette after its last test; in workers, the controller does it at the end."""
        function, _ = names_of(item)
        if self._mode == "none" or function not in self._stores or is_worker(self._config):
            return
        if nextitem is not None and names_of(nextitem)[0] == function:
            return
        with contextlib.suppress(CassetteError, OSError):  # `save` tries again, and reports the error
            self._stores[function].save()

    def save(self) -> None:
        """Write the cassettes; an xdist worker writes shards beside them, which the controller merges."""
        for owner in self._stores if self._mode != "none" else ():
            run, store = self._runs[owner], self._stores[owner]
            try:
                if is_worker(self._config):
                    store.keep_shard()
                else:
                    store.save(prune=self._mode == "all" and run.is_whole, cases=run.droppable)
            except (CassetteError, OSError) as error:
                self._problems.append(_unwritten(error))
                run.ran.clear()  # the controller must not drop entries that are missing from the shard

    def add_strays(self, problems: Iterable[str], notes: Iterable[str]) -> None:
        """Add the problems and notes of LM calls that were made outside a running test."""
        self._problems += problems
        self._notes += notes

    def _calls(self) -> Counter[str]:
        """Return the numbers of calls by what became of them, and the tokens and dollars of those asked."""
        counts = Counter[str]()
        for store in self._stores.values():
            counts.update(store.counts)
        if self._live is not None:
            counts.update(spent(self._live.tracker))
        elif self._tracker is not None:
            counts.update(spent(self._tracker))
        return counts

    def to_json(self) -> dict[str, Any]:
        """Return the data that the controller takes at the end of the session."""
        asked = {name: sorted(store.asked) if self._mode == "all" else [] for name, store in self._stores.items()}
        runs = {
            name: [str(run.cassette), run.cases, sorted(run.ran), asked.get(name, [])]
            for name, run in self._runs.items()
        }
        counts = {"runs": runs, "calls": dict(self._calls()), "problems": self._problems, "notes": self._notes}
        return {**counts, **self._upkeep}

    def note_end(self, session: pytest.Session) -> None:
        """Note what the tests have used, for the controller's `Upkeep`."""
        from pytest_dspex.cassettes.upkeep import note_collected, usage_of

        usages, changes = {}, list[str]()
        for owner, store in self._stores.items():
            run = self._runs[owner]
            with contextlib.suppress(CassetteError):  # the tests that use it have failed
                usages[str(run.cassette)] = usage_of(
                    store, cases=run.cases, ran=run.ran - run.cut, max_age=self._config.stash[OPTIONS].max_age
                )
                changes += [f"{run.cassette.stem} {change}" for change in _changes(store)]
        self._upkeep = {"usage": usages, "changes": changes, "collected": note_collected(session)}


class Recordings:
    """The controller's view of all recordings: its own and those of its workers, whose shards it merges.

    `problems` are the error messages of failed writes and of calls outside tests.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.problems: list[str] = []
        self.notes: list[str] = []
        self._calls = Counter[str]()
        self._root = config.rootpath
        self._mode = config.stash[OPTIONS].record
        self._id = _new_run()
        self._folders: set[Path] = set()
        self._runs: dict[str, Run] = {}

    def brief(self, workerinput: dict[str, Any]) -> None:
        """Put the id of this run into a worker's input."""
        workerinput[_RUN_KEY] = self._id

    def expect(self, nodeids: Iterable[str]) -> None:
        """Note the folders of the tests' cassettes, where a worker that crashes leaves its shards."""
        files = {self._root / nodeid.partition("::")[0] for nodeid in nodeids}
        self._folders.update(folder_beside(file) for file in files)
        self._folders.update(folder_beside(folder) for file in files for folder in file.relative_to(self._root).parents)

    def add(self, recording: Mapping[str, Any]) -> None:
        """Add the problems, notes and counts of a recording."""
        self.problems += [problem for problem in recording["problems"] if problem not in self.problems]
        self.notes += [note for note in recording["notes"] if note not in self.notes]
        self._calls.update(recording["calls"])

    def add_shards(self, recording: Mapping[str, Any]) -> None:
        """Add the folders of a worker's shards and the cases that it ran."""
        for owner, (cassette, cases, ran, asked) in recording["runs"].items():
            run = self._runs.setdefault(owner, Run(Path(cassette), cases))
            run.ran.update(ran)
            run.asked.update(asked)
            self._folders.add(run.cassette.parent)

    def merge(self) -> None:
        """Merge all shards into their cassettes."""
        if self._mode == "none" or not self._folders:
            return
        from pytest_dspex.cassettes.store import merge_shards

        whole = [run for run in self._runs.values() if run.is_whole] if self._mode == "all" else []
        asked = {run.cassette: run.asked for run in whole}
        cases = {run.cassette: run.ran for run in whole if run.cases is None}
        try:
            merge_shards(self._folders, run=self._id, asked=asked, cases=cases)
        except (CassetteError, OSError) as error:
            self.problems.append(_unwritten(error))

    def summary(self) -> str | None:
        """Return one line with the counts of LM calls, or `None` without calls."""
        outcomes = ("replayed", "recorded", "missed", "asked", "cached")
        counts = [f"{self._calls[outcome]} {outcome}" for outcome in outcomes if self._calls[outcome]]
        paid = [f"{self._calls['tokens']:,} tokens"] if self._calls["tokens"] else []
        dollars = self._calls["dollars"]
        paid += [f"${dollars:.2f}" if dollars >= _CENTS else f"${dollars:.2g}"] if dollars else []
        return "; ".join(filter(None, [f"LM calls: {', '.join(counts)}", ", ".join(paid)])) if counts else None


def _changes(store: CassetteStore) -> Iterable[str]:
    if not (pairs := store.changes()):
        return []
    from pytest_dspex.cassettes.answers import change_of  # only recordings need it

    return [change for before, after in pairs if (change := change_of(before, after)) is not None]


def _new_run() -> str:
    return uuid.uuid4().hex[:12]


def _unwritten(error: CassetteError | OSError) -> str:
    return f"the recorded calls could not be written ({error}); record them again with --dspex-record=new"
