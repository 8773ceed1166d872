"""Baselines in the repository: the scores of a test function's cases, with hashes of what they were measured on.

`baselines/<test file>/<test function>.jsonl`, beside the tests, has a line for each case and score, sorted. The row of
the case and the code that makes its scores are the measure: scores by another measure are not comparable. The program
and the LM are what is measured, so that a change of them is noted and compared. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import json
import math
import re
import subprocess
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dspex_core.plugin_api import read_file, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_dspex.gates.records import CaseRecord

FOLDER = "baselines"
_HASHES = ("row", "program", "metric", "lm")
_MEASURE = {"row": "the dataset row", "metric": "the code of the test"}
_MEASURED = {"program": "the program", "lm": "the LM"}
_ADVICE = "write it with `pytest --dspex-update-baseline`"
_TIME_LIMIT = 60  # seconds for git


@dataclass(frozen=True, slots=True)
class Line:
    """The score of one case (of several attempts, their mean), and the hashes of what it was measured on."""

    case: str
    score: str
    value: float
    hashes: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the stored form; the value comes before the hashes, for a reader of a diff."""
        return {"case": self.case, "score": self.score, "value": self.value, **self.hashes}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Line:
        """Return what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: It was edited by hand, and is not a line.
        """
        hashes = {name: str(data[name]) for name in _HASHES if name in data}
        value = float(data["value"])
        if not math.isfinite(value):
            raise ValueError(f"the value {value} is not a finite number")
        return cls(str(data["case"]), str(data["score"]), value, hashes)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The stored scores of a test function; `problem` says why there are none, and `source` where they are from.

    A baseline that `is_damaged` is there and cannot be read: that is a failure, where a missing one is not.
    """

    source: str
    problem: str = ""
    is_damaged: bool = False
    lines: Mapping[tuple[str, str], Line] = field(default_factory=dict)  # by score and case

    def scores(self, name: str) -> dict[str, float]:
        """Return the value of a score of each case."""
        return {case: line.value for (score, case), line in self.lines.items() if score == name}

    def difference(self, name: str, cases: Sequence[CaseRecord]) -> str:
        """Return why the values of a score cannot be compared, in a few words; empty if they can."""
        for kind, shown in _MEASURE.items():
            changed = self._changed(name, cases, kind)
            if changed:
                which = f" of {len(changed)} cases, such as {changed[0]!r}," if kind == "row" else ""
                more = ", or that of a metric or a function that it scores with" if kind == "metric" else ""
                return f"{shown}{which} has changed since {self.source}{more}; {_ADVICE}"
        return ""

    def changes(self, name: str, cases: Sequence[CaseRecord]) -> list[str]:
        """Return which of the measured things have changed."""
        return [f"{shown} has changed" for kind, shown in _MEASURED.items() if self._changed(name, cases, kind)]

    def _changed(self, name: str, cases: Sequence[CaseRecord], kind: str) -> list[str]:
        pairs = ((case, self.lines.get((name, case.case))) for case in cases)
        return [
            case.name
            for case, line in pairs
            if line is not None and line.hashes.get(kind, "") != case.facts.hashes.get(kind, "")
        ]


class Baselines:
    """The baselines of a session's test functions; each file is read once.

    Args:
        root: The folder to which node ids are relative.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[tuple[str, str], Baseline] = {}

    def of(self, function: str, source: str) -> Baseline:
        """Return the baseline of a test function; `source` is "baseline" or "git:REVISION"."""
        if (function, source) not in self._read:
            path = baseline_path(self._root, function)
            revision = source.removeprefix("git:")
            self._read[function, source] = _from_file(path) if revision == source else _from_git(path, revision)
        return self._read[function, source]

    def write(self, function: str, cases: Iterable[CaseRecord]) -> Path:
        """Write the scores of all cases of a test function, sorted; return the path.

        Raises:
            OSError: The file cannot be written; the old one stays.
        """
        lines = sorted(_lines(cases), key=lambda line: (line.case, line.score))
        path = baseline_path(self._root, function)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, "".join(json.dumps(line.to_json(), ensure_ascii=True) + "\n" for line in lines))
        return path


def baseline_path(root: Path, function: str) -> Path:
    """Return where the baseline of a test function is stored."""
    file, _, inside = function.partition("::")
    name = re.sub(r"[^\w.-]+", "-", inside.replace("::", ".")).strip("-")
    test = root / file
    return test.parent / FOLDER / test.stem / f"{name}.jsonl"


def _lines(cases: Iterable[CaseRecord]) -> Iterator[Line]:
    """Yield a line for each case and score; that of several attempts at a case has their mean."""
    values: dict[tuple[str, str], list[float]] = {}
    hashes: dict[tuple[str, str], Mapping[str, str]] = {}
    for case in cases:
        for name, score in case.scores.items():
            values.setdefault((case.case, name), []).append(score.value)
            hashes.setdefault((case.case, name), case.facts.hashes)
    for (case_name, name), found in values.items():
        yield Line(case_name, name, math.fsum(found) / len(found), hashes[case_name, name])


def _from_file(path: Path) -> Baseline:
    try:
        return _parsed(read_file(path).decode(), str(path))
    except FileNotFoundError:
        return Baseline(str(path), f"there is no baseline at {path}; {_ADVICE}")
    except (OSError, UnicodeDecodeError) as error:
        return Baseline(str(path), f"the baseline {path} cannot be read ({error})", is_damaged=True)


def _from_git(path: Path, revision: str) -> Baseline:
    """Read the file as it is in another revision, without a checkout."""
    folder = next(parent for parent in path.parents if parent.is_dir())
    source = f"{path.name} of {revision}"
    name = f"{revision}:./{path.relative_to(folder).as_posix()}"
    command = ["git", "-C", str(folder), "show", "--end-of-options", name]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIME_LIMIT, check=False)  # noqa: S603  no shell
    except (OSError, subprocess.TimeoutExpired) as error:
        return Baseline(source, f"git could not be asked for the baseline of {revision!r} ({error})")
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        return Baseline(source, f"git has no baseline of {revision!r}: {said}")
    return _parsed(done.stdout.decode(errors="replace"), source)


def _parsed(text: str, source: str) -> Baseline:
    lines: dict[tuple[str, str], list[Line]] = {}
    for number, stored in enumerate(text.splitlines(), 1):
        try:
            line = Line.from_json(json.loads(stored))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            problem = f"line {number} of the baseline {source} is damaged ({error!r}); {_ADVICE}"
            return Baseline(source, problem, is_damaged=True)
        lines.setdefault((line.score, line.case), []).append(line)
    return Baseline(source, lines={key: _mean(found) for key, found in lines.items()})


def _mean(lines: Sequence[Line]) -> Line:
    """Return the line of a case; earlier versions wrote one for each of several attempts."""
    return replace(lines[-1], value=math.fsum(line.value for line in lines) / len(lines))
