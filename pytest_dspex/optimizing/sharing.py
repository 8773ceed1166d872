"""The outcomes of `--dspex-optimize` in a session, shared by xdist's workers. PYTEST_DONT_REWRITE

With workers, each program is compiled before any of them runs a test, by the worker that comes first; the others wait.
The item of the program, whichever worker gets it, then reports the outcome. So there is one result, in every mode of
distribution, and no worker waits for an item that is queued behind its own tests.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from _pytest.runner import runtestprotocol

from dspex_core.plugin_api import short_digest, write_atomically
from pytest_dspex.cassettes.locks import exclusive
from pytest_dspex.optimizing.artifacts import forget
from pytest_dspex.optimizing.results import Spent
from pytest_dspex.options import is_worker
from pytest_dspex.running.around import around

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from pytest_dspex.programs import ProgramSpec


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one program: the message of its failure, if it failed, and what it spent."""

    failure: str | None
    is_stored: bool
    spent: Spent


class Outcomes:
    """The outcomes so far, by program; those of xdist's workers are files in a folder of the run."""

    def __init__(self, config: pytest.Config) -> None:
        self._folder: Path | None = None
        self._own: dict[str, Outcome] = {}
        if is_worker(config):
            run = config.workerinput["testrunuid"]  # type: ignore[attr-defined]  # xdist's, on workers
            self._folder = Path(tempfile.gettempdir(), f"dspex-optimize-{run}")
            self._folder.mkdir(mode=0o700, exist_ok=True)

    def of(self, spec: ProgramSpec) -> Outcome | None:
        """Return the outcome of a program, if there is one yet."""
        self._read()
        return self._own.get(_key(spec))

    def add(self, spec: ProgramSpec, outcome: Outcome) -> None:
        """Add the outcome of a program."""
        self._own[_key(spec)] = outcome
        if self._folder is not None:
            write_atomically(self._folder / f"{_key(spec)}.json", json.dumps(asdict(outcome)))

    @property
    def spent(self) -> Spent:
        """What all programs have spent so far."""
        self._read()
        parts = [outcome.spent for outcome in self._own.values()]
        return Spent(
            sum(part.calls for part in parts), sum(part.tokens for part in parts), sum(part.dollars for part in parts)
        )

    @contextmanager
    def one_at_a_time(self) -> Iterator[None]:
        """Let other workers wait while one compiles."""
        if self._folder is None:
            yield
            return
        with exclusive(self._folder):
            yield

    def _read(self) -> None:
        for path in self._folder.glob("*.json") if self._folder is not None else ():
            data = json.loads(path.read_text(encoding="utf-8"))
            self._own[path.stem] = Outcome(**{**data, "spent": Spent(**data["spent"])})


_OUTCOMES = pytest.StashKey[Outcomes]()


def outcomes(config: pytest.Config) -> Outcomes:
    """Return the outcomes of the session."""
    if _OUTCOMES not in config.stash:
        config.stash[_OUTCOMES] = Outcomes(config)
    return config.stash[_OUTCOMES]


class CompileFirst:
    """In a worker: compiles the programs before its first test, or waits until another worker has done it."""

    def __init__(self, items: Mapping[ProgramSpec, pytest.Item]) -> None:
        self._items = items

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Run the items of the programs whose outcome is not known yet; their reports are not sent."""
        known = outcomes(session.config)
        for spec, item in self._items.items():
            if item not in session.items:  # mistakes were found: nothing runs
                continue
            with known.one_at_a_time():
                if known.of(spec) is None:
                    with around(item, None):
                        runtestprotocol(item, log=False, nextitem=None)
            forget(session.config, spec)
        return (yield)


def _key(spec: ProgramSpec) -> str:
    return short_digest([spec.name, str(spec.folder)])
