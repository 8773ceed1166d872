"""What a whole run has not used of its cassettes, what is old, and what a recording changed. PYTEST_DONT_REWRITE

Each process knows which calls its tests looked up; the one that sees all of them judges, and only after a run of all
tests that passed: after any other, it cannot be known whether a recorded call is still needed.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dspex.cassettes.entry import CassetteError, oldest_date
from pytest_dspex.keys import COLLECTED_ITEMS, SKIPPED_MODULES
from pytest_dspex.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dspex_core.plugin_api import Json
    from pytest_dspex.cassettes.store import CassetteStore

_SHOWN = 10  # lines of a list
_FOLDER = "cassettes"
_OF_OPTIMIZATIONS = "optimize-"  # their items are not in every run
_FIXTURE = "fixture-"
_SELECTING = {
    "keyword": "-k",
    "markexpr": "-m",
    "lf": "--lf",
    "stepwise": "--stepwise",
    "deselect": "--deselect",
    "ignore": "--ignore",
    "ignore_glob": "--ignore-glob",
    "collectonly": "--collect-only",
    "setuponly": "--setup-only",
    "dspex_optimize": "--dspex-optimize",
}


@dataclass(slots=True)
class Usage:
    """What tests have used of a cassette.

    Args:
        size: The number of the recorded calls in it.
        cases: The number of the test function's cases; of a fixture `None`.
        ran: The cases that ran.
        used: The keys of the recorded calls that were looked up or recorded.
        old: The dates of those that are older than they may be; empty for one that is not known.
    """

    size: int
    cases: int | None
    ran: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    old: dict[str, str] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether all that may use the cassette has run."""
        return self.cases is None or len(self.ran) >= self.cases


def usage_of(store: CassetteStore, *, cases: int | None, ran: Iterable[str], max_age: int | None) -> Json:
    """Return what the tests of this process have used of a cassette, as JSON data."""
    used = store.used
    oldest = oldest_date(max_age)
    old = {key: date for key, date in store.dates(used).items() if date < oldest}
    return {"size": len(store), "cases": cases, "ran": sorted(ran), "used": sorted(used), "old": old}


def note_collected(session: pytest.Session) -> Json:
    """Return the cassettes that the collected tests may have, and why they may not be all, as JSON data."""
    from pytest_dspex.cassettes.places import place_of_test  # only sessions with cassettes need it
    from pytest_dspex.collecting.cases import names_of

    items = session.config.stash.get(COLLECTED_ITEMS, session.items)
    functions = {names_of(item)[0]: item for item in items}
    return {
        "owned": sorted({str(place_of_test(item).cassette) for item in functions.values()}),
        "is_part": len(items) != len(session.items),
        "has_skipped": session.config.stash.get(SKIPPED_MODULES, False),
    }


class Upkeep:
    """The controller's view of the cassettes of a session."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._options = config.stash[OPTIONS]
        self._usages: dict[Path, Usage] = {}
        self._changes: list[str] = []
        self._owned: set[Path] = set()
        self._partial: dict[str, None] = {}
        self._has_skips = False

    def add(self, recording: Mapping[str, Any]) -> None:
        """Add what a process has used."""
        for path, stored in recording["usage"].items():
            usage = self._usages.setdefault(Path(path), Usage(stored["size"], stored["cases"]))
            usage.size = max(usage.size, stored["size"])
            usage.ran.update(stored["ran"])
            usage.used.update(stored["used"])
            usage.old.update(stored["old"])
        self._changes += recording["changes"]
        collected = recording["collected"]
        self._owned.update(map(Path, collected["owned"]))
        if collected["is_part"]:
            self._partial["some tests were deselected"] = None
        if collected["has_skipped"]:
            self._partial["a module was skipped"] = None

    def note_crash(self) -> None:
        """Note that a worker has not said what it used."""
        self._partial["a worker crashed"] = None

    def note_skip(self) -> None:
        """Note that a test was skipped, and so maybe a fixture that only this test uses."""
        self._has_skips = True

    def notes(self, session: pytest.Session) -> list[str]:
        """Return the lines of the summary; with `--dspex-prune`, first remove what was not used."""
        return [*self._changed(), *self._aged(), *self._unused(session)]

    def _changed(self) -> Iterator[str]:
        if self._changes:
            yield _listed(f"answers that this recording changed: {len(self._changes)}", sorted(self._changes))

    def _aged(self) -> Iterator[str]:
        old = {path: usage.old for path, usage in self._usages.items() if usage.old}
        if old:
            lines = [f"{self._shown(path)}: {len(dates)}, {_since(dates.values())}" for path, dates in old.items()]
            count = sum(map(len, old.values()))
            yield _listed(
                f"WARNING: {count} recorded replies are older than dspex_max_age = {self._options.max_age} days; "
                "record them again with --dspex-record=all",
                sorted(lines),
            )

    def _unused(self, session: pytest.Session) -> Iterator[str]:
        why = self._why_partial(session)
        if why is not None:
            if self._options.prune:
                yield f"--dspex-prune has removed nothing: {why}; run all tests, and all must pass"
            return
        unused, files = self._unused_calls(), self._unused_files()
        lines = [f"{self._shown(path)}: {len(cases)} of {_cases(cases)}" for path, (_, cases) in unused.items()]
        lines += [f"{self._shown(path)}: the whole file" for path in files]
        if not lines:
            return
        if not self._options.prune:
            yield _listed("recorded calls that no test uses (--dspex-prune removes them):", sorted(lines))
            return
        try:
            self._prune({path: keys for path, (keys, _) in unused.items()}, files)
        except (CassetteError, OSError) as error:
            yield f"--dspex-prune: a cassette could not be written ({error}); run it again"
            return
        yield _listed("recorded calls that no test uses, removed:", sorted(lines))

    def _why_partial(self, session: pytest.Session) -> str | None:
        """Return why it cannot be known which recorded calls are needed."""
        option = self._config.getoption
        selecting = [flag for name, flag in _SELECTING.items() if option(name, None) not in (None, False, "", [])]
        if selecting:
            return f"{selecting[0]} runs only a part of the tests"
        here = self._config.invocation_params.dir
        if not all((here / arg).is_dir() for arg in self._config.args):
            return "only some files or tests were named"
        if session.exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            return "the session has not passed"
        if session.shouldstop or session.shouldfail:
            return "the session was stopped"
        return next(iter(self._partial), None)

    def _unused_calls(self) -> dict[Path, tuple[set[str], list[str]]]:
        from pytest_dspex.cassettes.layout import read_cassette

        found = {}
        for path, usage in sorted(self._usages.items()):
            if usage.is_whole and len(usage.used) < usage.size:
                with contextlib.suppress(CassetteError):  # reported where it was used
                    entries = read_cassette(path).entries
                    keys = {
                        key
                        for key, entry in entries.items()
                        if key not in usage.used and (usage.cases is not None or entry.case in usage.ran)
                    }
                    if keys:
                        found[path] = keys, sorted({entries[key].case for key in keys})
        return found

    def _unused_files(self) -> list[Path]:
        """Return the cassettes of tests and fixtures that there are no more, beside the collected tests."""
        known = {path.resolve() for path in [*self._owned, *self._usages]}
        is_clean = not self._has_skips and all(usage.is_whole for usage in self._usages.values())
        found = []
        for folder in sorted(self._folders()):
            for path in sorted(folder.glob("*/*.jsonl")):
                is_fixture = path.name.startswith(_FIXTURE)
                if path.resolve() in known or path.name.startswith(_OF_OPTIMIZATIONS) or (is_fixture and not is_clean):
                    continue
                if _is_cassette(path):
                    found.append(path)
        return found

    def _folders(self) -> set[Path]:
        """Return the folders for cassettes: those of the collected tests; to prune, all below the named paths."""
        roots = [(self._config.invocation_params.dir / arg).resolve() for arg in self._config.args]
        folders = {path.parent.parent for path in [*self._owned, *self._usages]}
        if self._options.prune:
            folders |= {folder for root in roots for folder in root.rglob(_FOLDER) if folder.is_dir()}
        return {folder for folder in folders if any(folder.resolve().is_relative_to(root) for root in roots)}

    def _prune(self, calls: Mapping[Path, set[str]], files: Sequence[Path]) -> None:
        from pytest_dspex.cassettes.store import drop

        for path, keys in calls.items():
            drop(path, keys)
        for path in files:
            path.unlink(missing_ok=True)
            for folder in (path.parent, path.parent.parent):
                with contextlib.suppress(OSError):  # it holds others
                    folder.rmdir()

    def _shown(self, path: Path) -> str:
        root = self._config.rootpath
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _is_cassette(path: Path) -> bool:
    """Return whether a file is one of ours: other tools have folders of this name."""
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(first, dict) and (
        first.get("format") == "dspex-cassette" or {"key", "case", "request", "response"} <= first.keys()
    )


def _cases(cases: Sequence[str]) -> str:
    named = [case for case in cases if case]
    more = [f"and {len(named) - _SHOWN} more"] if len(named) > _SHOWN else []
    return ", ".join([*named[:_SHOWN], *more]) or "the test"


def _since(dates: Iterable[str]) -> str:
    known = sorted(filter(None, dates))
    return f"since {known[0]}" if known else "of unknown age"


def _listed(title: str, lines: Sequence[str]) -> str:
    hidden = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "\n".join([title, *(f"  {line}" for line in [*lines[:_SHOWN], *hidden])])
