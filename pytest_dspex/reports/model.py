"""The results of a session, as values; every report is written from these alone. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from pytest_dspex.gates.drop import corrected
from pytest_dspex.gates.pairs import Pairing, compare_combinations
from pytest_dspex.gates.records import Collected
from pytest_dspex.gates.scoring import BUILT_IN, summarize
from pytest_dspex.gates.verdict_groups import decide_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_dspex.gates.baselines import Baselines
    from pytest_dspex.gates.records import CaseRecord, Evaluation
    from pytest_dspex.gates.scoring import ScoreSummary
    from pytest_dspex.gates.verdicts import Verdict
    from pytest_dspex.optimizing.results import OptimizeResult


@dataclass(frozen=True, slots=True)
class Suite:
    """The cases of one test function.

    `n` is the number of reported cases: the passed, the missed, the errors and the skipped.
    `scores` has each score that a case recorded, `verdicts` the decision of each gate, and `cases` the cases in the
    order of collection. `pairings` compares the combinations of the test's parameters on the scores that have gates.
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
    pairings: tuple[Pairing, ...] = ()

    @property
    def silent(self) -> int:
        """The number of cases that ran to their end and recorded no score."""
        return sum(not case.scores for case in self.cases if case.outcome in ("pass", "miss"))

    def unrecorded(self, score: str, *, within: Mapping[str, object]) -> int:
        """Return the number of cases of a slice that ran and did not record a score, nor have it without recording."""
        if score in BUILT_IN:
            return 0
        ran = (case for case in self.cases if case.outcome in ("pass", "miss"))
        return sum(score not in case.scores for case in ran if within.items() <= case.facts.columns.items())

    def failed(self, reason: str) -> Suite:
        """Return the suite with all of its gates failed for one reason."""
        return replace(
            self, verdicts=tuple(replace(verdict, status="failed", reason=reason) for verdict in self.verdicts)
        )


@dataclass(frozen=True, slots=True)
class Report:
    """The content of a session's reports.

    `notes` are further lines, such as the counts of LM calls, and `lines` the line of each test function. `baselines`
    has the values of each case in the baseline, by test, score and case.
    """

    suites: tuple[Suite, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    notes: tuple[str, ...] = ()
    optimizations: tuple[OptimizeResult, ...] = ()
    lines: Mapping[str, int | None] = field(default_factory=dict)
    baselines: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)


def suite_of(
    test: str, cases: Sequence[CaseRecord], *, collected: Collected | None = None, expected: int, baselines: Baselines
) -> Suite:
    """Summarize the cases of a test function, of the `expected` that it has, and decide its gates."""
    outcomes = Counter(case.outcome for case in cases)
    names = dict.fromkeys(name for case in cases for name in case.scores)  # in the order they were recorded
    collected = collected or Collected(0, "", ())
    verdicts = decide_all(test, cases, collected, expected=expected, baselines=baselines)
    gated = dict.fromkeys(verdict.gate.name for verdict in verdicts)
    return Suite(
        test=test,
        n=len(cases),
        passed=outcomes["pass"],
        missed=outcomes["miss"],
        errors=outcomes["error"],
        skipped=outcomes["skip"],
        scores=tuple(summarize(name, cases) for name in names),
        verdicts=verdicts,
        cases=tuple(cases),
        pairings=compare_combinations(gated, cases, collected) if collected.combinations else (),
    )


def with_corrected(suites: Sequence[Suite]) -> tuple[Suite, ...]:
    """Return the suites with the tests for a change corrected for the number of them in the session."""
    verdicts = iter(corrected([verdict for suite in suites for verdict in suite.verdicts]))
    return tuple(replace(suite, verdicts=tuple(islice(verdicts, len(suite.verdicts)))) for suite in suites)
