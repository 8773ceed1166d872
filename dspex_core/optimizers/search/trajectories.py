"""Many runs of programs on training examples at once, with what each of their predictors did. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.example import Example
from dspex_core.programs.base import Module, running

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex_core.evaluation.case import CaseResult, TraceStep
    from dspex_core.evaluation.run import Metric
    from dspex_core.flow.steps import Flow
    from dspex_core.optimizers.run import Run

_PROGRAM = re.compile(r"^programs\[\d+\]\.?")


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One run of a program on an example.

    Args:
        example: The example.
        prediction: What the program has returned; `None` where it failed.
        score: The metric's score.
        feedback: What the metric, or an error, says of it.
        steps: What each predictor did, with its path in the program.
        failed: Whether the program, or the metric, has failed.
    """

    example: Example
    prediction: Any
    score: float
    feedback: str
    steps: Sequence[tuple[str, TraceStep]]
    failed: bool


def sampled(run: Run[Any], runs: Sequence[tuple[Module, Example]]) -> list[Trajectory]:
    """Run programs on examples, all at once, and return their trajectories in that order.

    Raises:
        OptimizationError: The metric raised on every example.
    """
    if not runs:
        return []
    places = [Example(number=number).with_inputs("number") for number in range(len(runs))]
    plan, asked = _Runs(runs), _Scorer(run.metric, [example for _, example in runs])
    cases = run.evaluate(plan, places, traces=True, metric=asked).cases
    return [_trajectory(case, example) for case, (_, example) in zip(cases, runs, strict=True)]


class _Runs(Module):
    """Runs the program that belongs to a number."""

    def __init__(self, runs: Sequence[tuple[Module, Example]]) -> None:
        self.programs = [program for program, _ in runs]
        self.examples = tuple(example for _, example in runs)

    def flow(self, number: int) -> Flow[Any]:
        return (yield from running(self.programs[number], **self.examples[number].inputs()))


class _Scorer(Module):
    """Scores a prediction by the example that belongs to its number."""

    def __init__(self, metric: Metric | None, examples: Sequence[Example]) -> None:
        assert metric is not None, "an optimizer that scores has a metric"
        self.metric = metric
        self.examples = tuple(examples)

    def flow(self, place: Example, prediction: Any, trace: Any = None) -> Flow[Any]:
        return (yield from running(self.metric, self.examples[place.number], prediction))


def _trajectory(case: CaseResult, example: Example) -> Trajectory:
    steps = [(_PROGRAM.sub("", step.predictor) or "self", step) for step in case.trace]
    feedback = case.score.feedback if case.error is None else str(case.error)
    return Trajectory(example, case.prediction, case.score.value, feedback, steps, case.error is not None)
