"""The results of a session, as values; every report is written from these alone. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_dspex.gates.decide import decide, summarize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_dspex.gates.decide import ScoreSummary, Verdict
    from pytest_dspex.gates.grammar import Gate
    from pytest_dspex.gates.records import CaseRecord, Evaluation
    from pytest_dspex.optimizing.results import OptimizeResult


@dataclass(frozen=True, slots=True)
class Suite:
    """The cases of one test function.

    `n` is the number of reported cases: the passed, the missed, the errors and the skipped.
    `scores` has each score that a case recorded, `verdicts` the decision of each gate, and `cases` the cases in the
    order of collection.
    """

    test: str
    n: int
    passed: int
    missed: int
    errors: int
    skipped: int
    scores: tuple[ScoreSummary, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    cases: tuple[CaseRecord, ...] = ()

    def failed(self, reason: str) -> Suite:
        """Return the suite with all of its gates failed for one reason."""
        return replace(
            self, verdicts=tuple(replace(verdict, status="failed", reason=reason) for verdict in self.verdicts)
        )


@dataclass(frozen=True, slots=True)
class Report:
    """The content of a session's reports; `notes` are further lines, such as the counts of LM calls."""

    suites: tuple[Suite, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    notes: tuple[str, ...] = ()
    optimizations: tuple[OptimizeResult, ...] = ()


def suite_of(test: str, cases: Sequence[CaseRecord], *, gates: Sequence[Gate] = (), expected: int = 0) -> Suite:
    """Summarize the cases of a test function, of the `expected` that it has, and decide its gates."""
    outcomes = Counter(case.outcome for case in cases)
    names = dict.fromkeys(name for case in cases for name in case.scores)  # in the order they were recorded
    summaries = {name: summarize(name, cases) for name in [*names, *(gate.name for gate in gates)]}
    return Suite(
        test=test,
        n=len(cases),
        passed=outcomes["pass"],
        missed=outcomes["miss"],
        errors=outcomes["error"],
        skipped=outcomes["skip"],
        scores=tuple(summaries[name] for name in names),
        verdicts=tuple(decide(gate, summaries[gate.name], expected) for gate in gates),
        cases=tuple(cases),
    )
