"""The decision of a gate, as a value. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.plugin_api import Interval
    from pytest_dspex.gates.grammar import Gate
    from pytest_dspex.gates.scoring import CountedCase

Status = Literal["passed", "failed", "inconclusive", "not evaluated"]


@dataclass(frozen=True, slots=True)
class Drop:
    """A score, compared case by case with the baseline.

    Args:
        before: The mean in the baseline, over the cases that both have.
        after: The mean now.
        n: The number of the rows of these cases, as several may be attempts at one row.
        attempts: The number of these cases.
        lost: The rows that are worse now.
        gained: The rows that are better now.
        p_value: How likely chance makes such a change for the worse, one-sided.
        detectable: The smallest change that so many cases would most likely show; `None` if they cannot show any.
        notes: What else differs: cases on one side alone, another program or LM.
    """

    before: float
    after: float
    n: int
    attempts: int
    lost: tuple[str, ...]
    gained: tuple[str, ...]
    p_value: float
    detectable: float | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision of a gate.

    Args:
        gate: The gate.
        status: "passed", "failed", "inconclusive" (a change that may be chance), or "not evaluated" (data is missing).
        mean: The mean of the counted cases, or the gate's other statistic, if there are any.
        interval: The confidence interval of the mean, of 95 % if the gate does not set another.
        n: The number of counted cases.
        errors: The number of counted cases that failed with an error; each counts as the worst value.
        reason: The verdict in one line.
        worst: The cases on the wrong side of the gate's bound, the worst first.
        is_usage_error: Whether the gate names a score or a column that the test does not have.
        label: What stands in the brackets of the gate's node id.
        params: The values of the test's other parameters, if the gate is about one combination of them.
        slice: The values of the columns, if the gate is about one slice.
        drop: The comparison with the baseline, if the gate makes one.
        rows: The number of rows that the counted cases are attempts at; 0 if that is not known.
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
    label: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    slice: Mapping[str, Any] = field(default_factory=dict)
    drop: Drop | None = None
    rows: int = 0


def show(value: float) -> str:
    """Return a score as text with four significant digits."""
    return f"{value:.4g}"
