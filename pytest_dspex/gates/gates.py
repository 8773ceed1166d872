"""Gates: the mean that a score must reach over the cases of a test, and whether it did. PYTEST_DONT_REWRITE

A case that failed with an error counts as 0, and so does a case that ran and did not record the
score. Skipped cases are left out of the mean and reported. If cases are missing, the gate is not
evaluated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pytest

    from dspex_core.plugin_api import Interval

    Outcome = Literal["pass", "miss", "error", "skip"]
    Status = Literal["passed", "failed", "not evaluated"]

_ARGUMENTS = ("min",)
_ROUNDING = 1e-9  # a mean of 0.3 and 0.5 is 0.4 for whoever wrote min=0.4, whatever binary fractions say


@dataclass(frozen=True, slots=True)
class Gate:
    """The mean of the score `name` must be at least `min`."""

    name: str
    min: float

    def to_json(self) -> dict[str, Any]:
        """Return the gate as JSON data, which workers send to the controller."""
        return {"name": self.name, "min": self.min}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Gate:
        """Read what `to_json` returned."""
        return cls(name=data["name"], min=data["min"])


class RecordedScore(NamedTuple):
    """One value that a test recorded, with its feedback."""

    value: float
    feedback: str = ""


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """The result of one test item.

    Args:
        nodeid: The node id of the item.
        function: The node id of its test function, without the parameters.
        case: The id of its dataset row; empty for a test without a dataset.
        outcome: "miss" for a failed assertion, "error" for any other failure.
        scores: The recorded scores, by name.
        message: Why the item did not pass, in one line.
    """

    nodeid: str
    function: str
    case: str
    outcome: Outcome
    scores: Mapping[str, RecordedScore] = field(default_factory=dict)
    message: str = ""


class CountedCase(NamedTuple):
    """The value with which a case enters the mean, and the reason for the value."""

    record: CaseRecord
    value: float
    why: str


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """One score over the cases of a test; `mean` and `interval` (95 %) are `None` if all cases were skipped.

    `n` is the number of cases in the mean: all but the `skipped` ones. It includes the `errors` and the
    cases that ran and did not record this score (`unrecorded`), each with the value 0.
    """

    name: str
    mean: float | None
    interval: Interval | None
    n: int
    errors: int
    unrecorded: int
    skipped: int
    counted: tuple[CountedCase, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision of a gate.

    Args:
        gate: The gate.
        status: "passed", "failed", or "not evaluated", which neither passes nor fails the session.
        mean: The mean of the counted cases, if there are any.
        interval: The 95 % confidence interval of the mean.
        n: The number of counted cases.
        errors: The number of counted cases that failed with an error; each counts as 0.
        reason: The verdict in one line.
        worst: The cases below the gate's minimum, the lowest first.
        is_usage_error: Whether the gate names a score that the test never records.
    """

    gate: Gate
    status: Status
    mean: float | None
    interval: Interval | None
    n: int
    errors: int
    reason: str
    worst: tuple[CountedCase, ...] = ()
    is_usage_error: bool = False


def gate_from_marker(mark: pytest.Mark, where: str) -> Gate:
    """Read `@pytest.mark.dspex_gate(name, min=...)`; `where` names the test for the error message."""
    from dspex_core import ConfigurationError  # imported only for tests that have a gate

    problem = _problem_of(mark)
    if problem:
        message = f"{where}: {problem}"
        raise ConfigurationError(message)
    return Gate(name=mark.args[0], min=float(mark.kwargs["min"]))


def summarize(name: str, cases: Sequence[CaseRecord]) -> ScoreSummary:
    """Return the mean of a score over the cases that were not skipped; a case without the score counts as 0."""
    from dspex_core.plugin_api import mean_interval  # imported only in sessions that have scores

    counted = tuple(_count(case, name) for case in cases if case.outcome != "skip")
    values = [case.value for case in counted]
    ran = [case.record for case in counted if case.record.outcome != "error"]
    return ScoreSummary(
        name=name,
        mean=math.fsum(values) / len(values) if values else None,
        interval=mean_interval(values, confidence=0.95) if values else None,
        n=len(counted),
        errors=len(counted) - len(ran),
        unrecorded=sum(name not in record.scores for record in ran),
        skipped=len(cases) - len(counted),
        counted=counted,
    )


def decide(gate: Gate, summary: ScoreSummary, expected: int) -> Verdict:
    """Decide a gate on its score over the cases that were reported, of the `expected` that the test has."""
    worst = sorted((case for case in summary.counted if case.value < gate.min), key=lambda case: case.value)
    status, reason = _judge(gate, summary, expected)
    is_usage_error = status != "not evaluated" and _is_never_recorded(summary)
    return Verdict(
        gate=gate,
        status="failed" if is_usage_error else status,
        mean=summary.mean,
        interval=summary.interval,
        n=summary.n,
        errors=summary.errors,
        reason=_unknown_score(summary) if is_usage_error else reason,
        worst=tuple(worst),
        is_usage_error=is_usage_error,
    )


def show(value: float) -> str:
    """Return a score as text with four significant digits."""
    return f"{value:.4g}"


def _problem_of(mark: pytest.Mark) -> str | None:
    if len(mark.args) != 1 or not isinstance(mark.args[0], str):
        return (
            f"dspex_gate has the positional arguments {mark.args!r}; "
            "give it the name of one score, such as dspex_gate('accuracy', min=0.85)"
        )
    call = f"dspex_gate({mark.args[0]!r})"
    unknown = sorted(set(mark.kwargs) - set(_ARGUMENTS))
    if unknown:
        return f"{call} has an unknown argument {unknown[0]!r}; it takes {', '.join(map(repr, _ARGUMENTS))}"
    if "min" not in mark.kwargs:
        return f"{call} lacks min=, the mean that the score must reach; add it, such as min=0.85"
    minimum = mark.kwargs["min"]
    if isinstance(minimum, bool) or not isinstance(minimum, int | float) or not math.isfinite(minimum):
        return f"{call} has min={minimum!r}, which is not a finite number; set one, such as min=0.85"
    return None


def _count(case: CaseRecord, name: str) -> CountedCase:
    score = case.scores.get(name)
    if case.outcome == "error":
        return CountedCase(case, 0.0, f"error: {case.message}")
    if score is None:
        return CountedCase(case, 0.0, f"recorded no {name!r}" + (f": {case.message}" if case.message else ""))
    if not math.isfinite(score.value):
        return CountedCase(case, 0.0, f"recorded {score.value!r}, counted as 0")
    return CountedCase(case, score.value, score.feedback or case.message)


def _judge(gate: Gate, summary: ScoreSummary, expected: int) -> tuple[Status, str]:
    reported = summary.n + summary.skipped
    if reported < expected:
        return "not evaluated", f"{reported}/{expected} cases"
    if summary.mean is None or summary.interval is None:
        return "not evaluated", f"no case ran, {reported} skipped"
    passed = summary.mean >= gate.min - _ROUNDING
    interval = f"[{show(summary.interval.low)}, {show(summary.interval.high)}]"
    measured = f"{gate.name} {show(summary.mean)} {interval} {'>=' if passed else '<'} {show(gate.min)}"
    facts = [measured, f"n={summary.n}", *_exceptions(summary)]
    return "passed" if passed else "failed", ", ".join(facts)


def _exceptions(summary: ScoreSummary) -> list[str]:
    counts = {
        "errors={} (counted as 0)": summary.errors,
        "unrecorded={} (counted as 0)": summary.unrecorded,
        "skipped={} (left out)": summary.skipped,
    }
    return [text.format(count) for text, count in counts.items() if count]


def _is_never_recorded(summary: ScoreSummary) -> bool:
    """Return whether the gate's name is misspelt: cases ran to their end, but none of them recorded the score."""
    records = [case.record for case in summary.counted]
    if any(summary.name in record.scores for record in records):
        return False
    return any(record.outcome == "pass" or record.scores for record in records)


def _unknown_score(summary: ScoreSummary) -> str:
    names = sorted({name for case in summary.counted for name in case.record.scores})
    problem = f"no case recorded the score {summary.name!r}"
    if not names:
        return f"{problem}; recorded: nothing; record it with score({summary.name!r}, ...)"
    return f"{problem}; recorded: {', '.join(map(repr, names))}; name one of these, or record it"
