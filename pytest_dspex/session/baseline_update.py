"""`--dspex-update-baseline`: write the scores of a whole run as the new baselines, or refuse to. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_dspex.gates.baselines import Baselines
    from pytest_dspex.reports.model import Suite

_SHOWN = 5


def update_baselines(
    suites: Sequence[Suite], totals: Mapping[str, int], baselines: Baselines, *, stopped: str
) -> tuple[str, bool]:
    """Write a baseline for each suite that has scores, if all of its cases ran; else write none.

    Args:
        suites: The results of the session.
        totals: The number of cases that each test function has.
        baselines: Where to write.
        stopped: Why the session ended early; empty if it did not.

    Returns:
        A line that says what was done, and whether it was done.
    """
    scored = [suite for suite in suites if suite.scores]
    found = [_problem(suite, totals[suite.test]) for suite in scored]
    problems = [stopped] if stopped else [problem for problem in found if problem]
    if not problems and not scored:
        problems = ["no test recorded a score"]
    if problems:
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        reasons = "; ".join([*problems[:_SHOWN], *more])
        return f"--dspex-update-baseline: no baseline was written: {reasons}; run all cases of each test", False
    try:
        written = [baselines.write(suite.test, suite.cases) for suite in scored]
    except OSError as error:
        return f"--dspex-update-baseline: the baseline could not be written ({error})", False
    return f"baselines written: {', '.join(map(str, written))}; commit them", True


def _problem(suite: Suite, total: int) -> str:
    """Return why the cases of a suite are no baseline."""
    if suite.n < total:
        return f"{suite.test} ran {suite.n} of its {total} cases"
    if suite.errors:
        return f"{suite.errors} cases of {suite.test} failed to run"
    return ""
