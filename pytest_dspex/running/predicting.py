"""The prediction of a case, and what its metrics say of it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_dspex.collecting.case import CASE
from pytest_dspex.running.around import recorder_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pytest

    from dspex_core import Example, Score
    from pytest_dspex.collecting.case import Case


@dataclass(frozen=True, slots=True)
class Made:
    """A prediction, and its scores by the names of the metrics."""

    prediction: Any
    scores: Mapping[str, Score]


def make(item: pytest.Item, program: Callable[..., Any]) -> Made:
    """Run the program on an item's row and score its prediction; the LM calls of both are the case's.

    Raises:
        MetricFailedError: A metric raised, or returned what is not a score.
        Exception: What the program raises.
    """
    from dspex_core import context  # only sessions that use the core import it
    from dspex_core.plugin_api import Call

    case = item.stash[CASE]
    with context(recorder=recorder_for(item)):
        prediction = Call(program, (), _inputs(case, program)).run()
        return Made(prediction, _scores(case, prediction))


def _scores(case: Case, prediction: Any) -> dict[str, Score]:
    from dspex_core import Example
    from dspex_core.plugin_api import Call, as_score
    from pytest_dspex.running.failures import MetricFailedError

    scores = {}
    for name, metric in (case.source.metrics if case.source is not None else {}).items():
        example = case.example or Example()
        try:
            scores[name] = as_score(Call(metric, (example, prediction)).run())
        except Exception as error:
            raise MetricFailedError(name, error) from error
    return scores


def _inputs(case: Case, program: Callable[..., Any]) -> dict[str, Any]:
    """Return what the program gets of a row: its inputs, or else its fields that are the program's inputs.

    Raises:
        ConfigurationError: None of the fields is an input of the program.
    """
    from dspex_core import ConfigurationError

    assert case.example is not None, "a case without a row has no prediction"
    example: Example = case.example
    if example.input_keys:
        return dict(example.inputs().items())
    names = input_names(program)
    inputs = {name: value for name, value in example.items() if names is None or name in names}
    if not inputs:
        raise ConfigurationError(
            f"{case.function} uses the fixture `prediction`, but none of its parameters, "
            f"{', '.join(map(repr, example))}, is an input of the program; "
            f"its inputs are: {', '.join(map(repr, sorted(names or ()))) or 'none'}"
        )
    return inputs


def input_names(program: Callable[..., Any]) -> set[str] | None:
    """Return the names of a program's inputs; `None` if it takes any.

    They are the parameters of a function or a module's `forward`, or else the inputs of the module's predictors.
    """
    from dspex_core import Module

    function = program.forward if isinstance(program, Module) and hasattr(program, "forward") else program
    parameters = inspect.signature(function).parameters.values()
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return {parameter.name for parameter in parameters}
    if not isinstance(program, Module):
        return None
    return {name for _, predictor in program.every_predictor() for name in predictor.signature.input_fields}
