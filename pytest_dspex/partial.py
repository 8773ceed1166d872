"""Results of sessions that each ran a part of the cases, and gates decided over all parts. PYTEST_DONT_REWRITE

When several CI jobs split the cases of a test, each job writes its results (`--dspex-partial=PATH`). A last job reads
them all and decides the gates (`--dspex-merge=PATH`), without running a test.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dspex_core.plugin_api import read_file, write_atomically
from pytest_dspex.gates.baselines import Baselines
from pytest_dspex.gates.records import CaseRecord, Collected, digest
from pytest_dspex.reports.model import Report, Suite, suite_of, with_corrected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_FORMAT = {"format": "dspex-partial", "version": 1}
_SHOWN = 5  # contradictions in a message


@dataclass(frozen=True, slots=True)
class Part:
    """The collected functions and the case results of one session."""

    collected: Mapping[str, Collected]
    cases: tuple[CaseRecord, ...]

    def write(self, path: Path) -> Path:
        """Write the part to a file, atomically; return its path.

        In a directory the file's name is made from the ids of the cases, so that a repeated session replaces its file.
        """
        if path.suffix != ".json":
            path /= f"part-{digest(case.nodeid for case in self.cases)}.json"
        functions = {name: facts.to_json() for name, facts in self.collected.items()}
        stored = {**_FORMAT, "functions": functions, "cases": [case.to_json() for case in self.cases]}
        write_atomically(path, json.dumps(stored, indent=1) + "\n")
        return path

    @classmethod
    def read(cls, path: Path) -> Part:
        """Read a part that `write` has written.

        Raises:
            pytest.UsageError: The file cannot be read, or it does not hold a part.
        """
        try:
            stored = json.loads(read_file(path))
            _check_format(stored)
            collected = {name: Collected.from_json(facts) for name, facts in stored["functions"].items()}
            return cls(collected, tuple(map(CaseRecord.from_json, stored["cases"])))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            message = (
                f"--dspex-merge: {path} is not a result file of --dspex-partial ({error!r}); "
                "remove the file, or run its session again with --dspex-partial"
            )
            raise pytest.UsageError(message) from error


def files_of(paths: Sequence[str]) -> list[Path]:
    """Return the files that `--dspex-merge` names, those in its directories included.

    Raises:
        pytest.UsageError: A path does not exist, or is a directory without results.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not files or not all(file.is_file() for file in files):
            raise pytest.UsageError(
                f"--dspex-merge: there are no results at {path}; write them first with `pytest --dspex-partial={path}`"
            )
        found.update(dict.fromkeys(files))
    return list(found)


def merged(parts: Sequence[Part], *, root: Path) -> Report:
    """Decide the gates over all parts; a gate fails if a case is missing from all of them.

    `root` is the folder to which node ids are relative; the baselines lie beside the tests there.

    Raises:
        pytest.UsageError: The parts were collected from different tests, or contradict each other.
    """
    collected: dict[str, Collected] = {}
    cases: dict[str, CaseRecord] = {}
    problems = []
    for part in parts:
        for function, facts in part.collected.items():
            if collected.setdefault(function, facts) != facts:
                problems.append(
                    f"{function} has other cases or gates in another result; run all sessions on the same code"
                )
        twice = [case.nodeid for case in part.cases if cases.setdefault(case.nodeid, case) != case]
        problems += [f"{nodeid} has two results, which differ; remove the file of one of them" for nodeid in twice]
    if problems:
        hidden = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise pytest.UsageError("\n".join(f"--dspex-merge: {each}" for each in [*problems[:_SHOWN], *hidden]))
    baselines = Baselines(root)
    suites = [_suite(function, facts, cases.values(), baselines) for function, facts in collected.items()]
    return Report(with_corrected([suite for suite in suites if suite.n or suite.verdicts]))


def _suite(function: str, facts: Collected, cases: Iterable[CaseRecord], baselines: Baselines) -> Suite:
    own = sorted((case for case in cases if case.function == function), key=lambda case: case.nodeid)
    suite = suite_of(function, own, collected=facts, expected=facts.cases, baselines=baselines)
    if len(own) < facts.cases:
        return suite.failed(f"{len(own)}/{facts.cases} cases: the others are missing from all results")
    return suite


def _check_format(stored: Mapping[str, Any]) -> None:
    if {name: stored[name] for name in _FORMAT} != _FORMAT:
        raise ValueError(f"the format is {stored['format']!r}, version {stored['version']!r}")
