"""One loop for every search: ask for a candidate, score it, tell its trial. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol

from dspex_core.optimizers.demos import Student

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from dspex_core.optimizers.run import Run
    from dspex_core.optimizers.trials import Trial


@dataclass(frozen=True, slots=True)
class Proposal(Generic[Student]):
    """A candidate that is to be tried.

    Args:
        name: What it is, in words.
        make: Makes the program.
        choices: What is chosen in each dimension.
    """

    name: str
    make: Callable[[], Student]
    choices: Mapping[str, Any] = field(default_factory=dict)


class Strategy(Protocol[Student]):
    """Decides which candidate is tried next."""

    def ask(self) -> Proposal[Student] | None:
        """Return the next candidate, or `None` at the end."""

    def tell(self, trial: Trial) -> None:
        """Take the trial of the candidate that was asked for last."""


class InOrder(Generic[Student]):
    """The strategy that asks for given candidates in their order."""

    def __init__(self, proposals: Iterable[Proposal[Student]]) -> None:
        self._left = iter(proposals)

    def ask(self) -> Proposal[Student] | None:
        """Return the next candidate, or `None` at the end."""
        return next(self._left, None)

    def tell(self, trial: Trial) -> None:
        """Learn nothing of it."""


class Stepwise(Generic[Student]):
    """The strategy that a generator writes: it yields a candidate, and is sent the candidate's trial."""

    def __init__(self, steps: Generator[Proposal[Student], Trial, None]) -> None:
        self._steps = steps
        self._latest: Trial | None = None

    def ask(self) -> Proposal[Student] | None:
        """Return the next candidate, or `None` at the end."""
        try:
            return next(self._steps) if self._latest is None else self._steps.send(self._latest)
        except StopIteration:
            return None

    def tell(self, trial: Trial) -> None:
        """Take the trial of the candidate that was asked for last."""
        self._latest = trial


def in_full(run: Run[Student], proposal: Proposal[Student]) -> Trial:
    """Score a candidate on the whole valset."""
    return run.trial(proposal.name, proposal.make, proposal.choices)


def search(
    run: Run[Student],
    strategy: Strategy[Student],
    *,
    stop_at: float | None = None,
    scored: Callable[[Run[Student], Proposal[Student]], Trial] = in_full,
) -> Student:
    """Try what a strategy asks for, one candidate after the other, and return the best.

    Args:
        run: The run; each candidate is scored on its whole valset, and becomes one of its trials.
        strategy: Says what to try.
        stop_at: A mean score at which to be content.
        scored: Scores a candidate and makes it one of the trials: on the whole valset, or as `racing.raced` does.

    Raises:
        OptimizationError: The strategy has no candidate.
    """
    while (proposal := strategy.ask()) is not None:
        trial = scored(run, proposal)
        strategy.tell(trial)
        if stop_at is not None and trial.score >= stop_at:
            break
    if run.best is None:
        raise run.failure("there is no candidate to try")
    return run.best
