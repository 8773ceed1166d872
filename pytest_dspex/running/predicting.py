"""The prediction of a case, and what its metrics say of it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core import ConfigurationError, context
from pytest_dspex.collecting.case import CASE
from pytest_dspex.programs import input_names
from pytest_dspex.running.recorders import ahead
from pytest_dspex.running.rejudging import REJUDGING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Executor

    import pytest

    from dspex_core import Example, Score
    from dspex_core.plugin_api import Recorder
    from pytest_dspex.collecting.case import Case
    from pytest_dspex.running.awaiting import Awaiting


@dataclass(frozen=True, slots=True)
class Made:
    """A prediction, its scores by the names of the metrics, and where a conversation differs from its script."""

    prediction: Any
    scores: Mapping[str, Score]
    problems: Sequence[str] = ()


def make(item: pytest.Item, program: Callable[..., Any], awaiting: Awaiting, recorder: Recorder) -> Made:
    """Run the program on an item's row and score its prediction; the LM calls of both are the case's.

    Raises:
        MetricFailedError: A metric raised, or returned what is not a score.
        Exception: What the program raises.
    """
    case = item.stash[CASE]
    with context(recorder=recorder) as settings, ahead(item):
        rejudging = item.config.stash.get(REJUDGING, None)
        if rejudging is None:
            prediction, problems = _predicted(case, program, awaiting, settings.executor)
        else:
            prediction, problems = rejudging.output(item, program), ()
        return Made(prediction, _scores(case, prediction, awaiting), problems)


def _predicted(
    case: Case, program: Callable[..., Any], awaiting: Awaiting, executor: Executor | None
) -> tuple[Any, Sequence[str]]:
    """Return the prediction; of a row with `turns` it is a conversation, with what differs from its expectations."""
    inputs = _inputs(case, program)
    assert case.example is not None
    if "turns" not in case.example or "turns" in input_names(program):
        if executor is not None:
            from dspex_core.plugin_api import call_in_worker  # imports what only work in other processes needs

            return call_in_worker(executor, program, inputs), ()
        return awaiting.completed(program(**inputs)), ()
    from dspex_core import Module, converse

    inputs.pop("turns", None)
    called = program if isinstance(program, Module) else awaited(program, awaiting)
    conversation = converse(called, case.example["turns"], **inputs)
    return conversation, conversation.problems


def awaited(program: Callable[..., Any], awaiting: Awaiting) -> Callable[..., Any]:
    """Return a function, sync or async, as one that returns its result."""

    @functools.wraps(program)  # for its parameters
    def call(**inputs: Any) -> Any:
        return awaiting.completed(program(**inputs))

    return call


def _scores(case: Case, prediction: Any, awaiting: Awaiting) -> dict[str, Score]:
    if case.source is None or not case.source.metrics:
        return {}
    from dspex_core import Prediction
    from dspex_core.plugin_api import as_score
    from pytest_dspex.running.failures import MetricFailedError

    if isinstance(prediction, dict) and all(isinstance(name, str) for name in prediction):
        prediction = Prediction(prediction)  # whose fields metrics read as attributes
    scores = {}
    for name, metric in case.source.metrics.items():
        try:
            scores[name] = as_score(awaiting.completed(metric(case.example, prediction)))
        except Exception as error:
            raise MetricFailedError(name, error) from error
    return scores


def _inputs(case: Case, program: Callable[..., Any]) -> dict[str, Any]:
    """Return what the program gets of a row: its inputs, or else its fields that are the program's inputs.

    Raises:
        ConfigurationError: None of the fields is an input of the program.
    """
    assert case.example is not None, "a case without a row has no prediction"
    example: Example = case.example
    if example.input_keys:
        return dict(example.inputs().items())
    names = input_names(program)
    inputs = {name: value for name, value in example.items() if name in names}
    if not inputs:
        raise ConfigurationError(
            f"{case.function} uses the fixture `prediction`, but none of its parameters, "
            f"{', '.join(map(repr, example))}, is an input of the program; "
            f"its inputs are: {', '.join(map(repr, sorted(names))) or 'none'}"
        )
    return inputs
