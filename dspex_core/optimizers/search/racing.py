"""Racing: candidates run on growing shares of the valset, and those that fall behind run on no more of it.

All see the same rows in the same random order, so that they are compared in pairs. After each stage a candidate is
dropped for one of two reasons: others are ahead of it, and only a share goes on (successive halving); or it is so far
behind the best that it would hardly catch up on the rows that are left (a paired race). The first candidate, and
the one that leads after a stage, run on the whole valset at once: an early end then has something to return.

Sources: Maron and Moore 1994, "Hoeffding races" (NeurIPS), and 1997, "The racing algorithm: model selection for lazy
learners"; Birattari et al. 2002, "A racing algorithm for configuring metaheuristics" (F-Race: the same instances for
all); Mnih, Szepesvari and Audibert 2008, "Empirical Bernstein stopping" (ICML); Jamieson and Talwalkar 2016,
"Non-stochastic best arm identification and hyperparameter optimization" (AISTATS; successive halving). The bounds of
Hoeffding and Bernstein drop hardly anything within the 20 to 100 rows of a usual valset, so the chance of catching up
is taken from a normal approximation instead. `benchmarks/optimizers/racing.py` measures what that loses.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from dspex_core.optimizers.demos import Student
    from dspex_core.optimizers.run import Candidate, Run
    from dspex_core.optimizers.search.loop import Proposal
    from dspex_core.optimizers.trials import Trial

_STAGES = ((0.22, 0.5), (0.5, 0.25), (0.75, 0.12))  # the share of the rows, and of the candidates that go on then
_FEWEST = 5  # rows that say anything
_CHANCE = 0.05  # of catching up, below which a candidate is dropped
_PRIOR = 4  # rows without a difference that are added, so that a few rows do not say too much


class Contender(Protocol):
    """What takes part in a race: `Candidate` does."""

    @property
    def scores(self) -> Mapping[int, float]:
        """The scores so far, by the places of the rows."""

    def score(self, rows: Sequence[int] | None = None) -> object:
        """Score it on rows, by default on all; rows that it has a score of are not run."""


_Contender = TypeVar("_Contender", bound=Contender)


def race(run: Run[Student], proposals: Sequence[Proposal[Student]], *, stop_at: float | None = None) -> Student:
    """Let all candidates of a search race, and return the best; takes what `search` takes.

    Each becomes one of the run's trials. Those that were dropped have scores of a part of the valset.

    Args:
        run: The run.
        proposals: The candidates; the first is scored before the others are made.
        stop_at: A mean score at which to be content.

    Raises:
        OptimizationError: There is no candidate.
    """
    made = (run.candidate(each.name, each.make, each.choices) for each in proposals)
    contest(made, order_of(run), close=run.close, stop_at=stop_at)
    if run.best is None:
        raise run.failure("there is no candidate to try")
    return run.best


def challenge(run: Run[Student], candidate: Candidate[Student]) -> Trial:
    """Score a candidate until it is clear that the best one so far is better, and close it.

    Returns:
        Its trial; `trial.is_full` says whether it went the whole way.
    """
    best, order = run.trials.leader, order_of(run)
    for rows, _ in _stages(len(order)) if best is not None else ():
        candidate.score(order[:rows])
        if best is not None and _is_clearly_worse(candidate.scores, best.scores):
            return run.close(candidate)
    candidate.score()
    return run.close(candidate)


def raced(run: Run[Student], proposal: Proposal[Student]) -> Trial:
    """Make a candidate and let it `challenge` the best one so far: for `search`."""
    return challenge(run, run.candidate(proposal.name, proposal.make, proposal.choices))


def estimated(run: Run[Any], trial: Trial) -> float:
    """Return a trial's score; of a dropped one what it would be on all rows, by how far it is behind the best."""
    best = run.trials.leader
    if trial.is_full or best is None:
        return trial.score
    behind = sum(best.scores[row] - score for row, score in trial.scores.items()) / trial.n
    return max(0.0, best.score - behind)


def order_of(run: Run[Any]) -> list[int]:
    """Return the rows of the valset in the random order in which all candidates of a run are scored."""
    size = len(run.validation)
    return run.random("race").sample(range(size), size)


def contest(
    contenders: Iterator[_Contender],
    order: Sequence[int],
    *,
    close: Callable[[_Contender], object],
    stop_at: float | None = None,
) -> None:
    """Let contenders race.

    Args:
        contenders: Those that take part. The first is scored before the others are taken.
        order: The rows in random order.
        close: Called with each of them once, when it is dropped or has run on all rows.
        stop_at: A mean score at which to be content.
    """
    first = next(contenders, None)
    if first is None:
        return
    field = _Field(order, close, stop_at)
    field.finish(first)
    stages = list(_stages(len(order)))
    racing: Iterable[_Contender] = contenders
    if stages and not field.is_content:
        racing = [first, *contenders]
        count = len(racing)
        for rows, share in stages:
            racing = field.stage(racing, order[:rows], left=math.ceil(share * count))
    racing = iter(racing)
    while not field.is_content and (each := next(racing, None)) is not None:
        field.finish(each)


class _Field:
    """The contenders that have ended."""

    def __init__(self, order: Sequence[int], close: Callable[[Any], object], stop_at: float | None) -> None:
        self._size = len(order)
        self._close = close
        self._stop_at = stop_at
        self._best: Contender | None = None
        self.is_content = False

    def finish(self, contender: Contender) -> None:
        """Score one on all rows, unless that was done before."""
        if len(contender.scores) == self._size:
            return
        contender.score()
        self._close(contender)
        score = _mean(contender.scores)
        if self._best is None or score > _mean(self._best.scores):
            self._best = contender
        self.is_content = self._stop_at is not None and score >= self._stop_at

    def stage(self, racing: Iterable[_Contender], rows: Sequence[int], *, left: int) -> list[_Contender]:
        """Score all on rows, and return those that go on, in their order."""
        if self.is_content:
            return []
        racing = list(racing)
        for each in racing:
            each.score(rows)
        ranked = sorted(racing, key=lambda each: -sum(each.scores[row] for row in rows))  # of equal ones the first
        self.finish(ranked[0])
        assert self._best is not None, "one has been finished"
        best = self._best.scores
        goes_on = [each for each in ranked[:left] if self._is_done(each) or not _is_clearly_worse(each.scores, best)]
        for each in racing:
            if each not in goes_on and not self._is_done(each):
                self._close(each)
        return [each for each in racing if each in goes_on]

    def _is_done(self, contender: Contender) -> bool:
        return len(contender.scores) == self._size


def most_runs(candidates: int, rows: int) -> int:
    """Return how many rows a race of so many candidates scores at most."""
    left, before, runs = candidates, 0, rows
    for length, share in [*_stages(rows), (rows, 0.0)]:
        runs += left * (length - before) + (rows - length)  # with the one that leads
        left, before = math.ceil(share * candidates), length
    return min(runs, candidates * rows)


def _stages(size: int) -> Iterator[tuple[int, float]]:
    """Yield how many rows each stage has, and the share of the candidates that goes on."""
    before = 0
    for share, left in _STAGES:
        rows = max(_FEWEST, math.ceil(share * size))
        if before < rows < size:
            yield rows, left
        before = max(before, rows)


def _is_clearly_worse(scores: Mapping[int, float], best: Mapping[int, float]) -> bool:
    """Whether a candidate would hardly catch up with the best one on the rows that it has not run on."""
    differences = [score - best[row] for row, score in scores.items()]
    n, behind, left = len(differences), sum(differences), len(best) - len(differences)
    if behind >= 0 or not left:
        return False
    variance = (sum(difference**2 for difference in differences) + 1) / (n + 1)
    spread = math.sqrt(variance * left * (1 + left / n))  # with the error of the expected difference
    expected = behind + left * behind / (n + _PRIOR)
    return 1 - NormalDist(expected, spread).cdf(0) < _CHANCE


def _mean(scores: Mapping[int, float]) -> float:
    return sum(scores.values()) / len(scores)
