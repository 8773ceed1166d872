"""Runs of a program with the trace of each: DSPy's `bootstrap_trace_data`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from dspex_core.config import context, settings
from dspex_core.errors import AdapterParseError, BudgetExceededError, LMError
from dspex_core.plain.display import error_text
from dspex_core.programs.base import Module
from dspex_core.programs.parallel import Parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dspex_core.example import Example

_log = logging.getLogger("dspex")


@dataclass(frozen=True)
class FailedPrediction:
    """Stands for the prediction of a run that failed.

    Args:
        completion_text: The reply that could not be read, or the error in words.
        format_reward: The score of a reply that could not be read.
    """

    completion_text: str
    format_reward: float | None = None


class TraceData(TypedDict, total=False):
    """One run: the example, its place, the prediction, the trace, and the score if there is a metric."""

    example_ind: int
    example: Example
    prediction: Any
    trace: list[tuple[Any, ...]]
    score: Any


def bootstrap_trace_data(  # noqa: PLR0913, PLR0917  DSPy's signature
    program: Callable[..., Any],
    dataset: Sequence[Example],
    metric: Callable[..., Any] | None = None,
    num_threads: int | None = None,
    raise_on_error: bool = True,  # noqa: FBT001, FBT002  as in DSPy
    capture_failed_parses: bool = False,  # noqa: ARG001, FBT001, FBT002  as in DSPy, where it has no effect, either
    failure_score: float = 0,  # noqa: ARG001  as in DSPy: failed runs are raised or left out
    format_failure_score: float = -1,
    log_format_failures: bool = False,  # noqa: FBT001, FBT002  as in DSPy
    callback_metadata: dict[str, Any] | None = None,  # noqa: ARG001  as in DSPy: there is no event of the whole
    capture_crashes: bool = False,  # noqa: FBT001, FBT002  as in DSPy
) -> list[TraceData]:
    """Run a program on examples; return each prediction with the trace of its predictors.

    Args:
        program: The program.
        dataset: The examples; `with_inputs` has named their inputs.
        metric: Called with the example, the prediction and no trace.
        num_threads: How many examples run at once.
        raise_on_error: Whether the first error of a run or of the metric is raised; else such runs are left out.
        capture_failed_parses: No effect: a reply that cannot be read is a `FailedPrediction` in any case.
        failure_score: No effect.
        format_failure_score: The score of a reply that cannot be read.
        log_format_failures: Whether such replies are logged.
        callback_metadata: No effect.
        capture_crashes: Whether an error of the program, but for those of LMs, is a `FailedPrediction`, too.
    """
    run = _Run(program, metric, format_failure_score, captures=capture_crashes, logs=log_format_failures)
    work = [(run, {"place": place, "example": example}) for place, example in enumerate(dataset)]
    ended: list[Any] = Parallel(num_threads, disable_progress_bar=True)(work) if work else []
    failures = [each for each in ended if isinstance(each, Exception)]
    if failures and raise_on_error:
        raise failures[0]
    if failures:
        _log.warning("%d of %d runs failed and are left out; the first: %r", len(failures), len(ended), failures[0])
    return [each for each in ended if not isinstance(each, Exception)]


@dataclass(frozen=True)
class _Run:
    """Runs and scores the program on one example; an error is returned."""

    program: Callable[..., Any]
    metric: Callable[..., Any] | None
    format_failure_score: float
    captures: bool
    logs: bool

    def __call__(self, place: int, example: Example) -> TraceData | Exception:
        try:
            prediction, trace = _traced(self.program, example, self.format_failure_score, captures=self.captures)
            found = TraceData(example_ind=place, example=example, prediction=prediction, trace=trace)
            if self.metric is not None and isinstance(prediction, FailedPrediction):
                found["score"] = prediction.format_reward or self.format_failure_score
            elif self.metric is not None:
                found["score"] = self.metric(example, prediction, None)
        except BudgetExceededError:
            raise
        except Exception as error:  # noqa: BLE001  programs and metrics are the user's code
            return error
        if self.logs and isinstance(prediction, FailedPrediction):
            _log.warning("a reply for example %d could not be read", place)
        return found


def _traced(
    program: Callable[..., Any], example: Example, format_failure_score: float, *, captures: bool
) -> tuple[Any, list[Any]]:
    """Run the program on an example within a trace of its own."""
    inputs = example.inputs()
    with context(trace=[]):
        try:
            prediction = program(**inputs)
        except AdapterParseError as error:
            prediction = FailedPrediction(error.lm_response, format_failure_score)
            return prediction, [*settings.trace, (_asker(program, error), inputs.toDict(), prediction)]
        except (LMError, BudgetExceededError):
            raise
        except Exception as error:
            if not captures:
                raise
            prediction = FailedPrediction(error_text(error))
        return prediction, list(settings.trace)


def _asker(program: Callable[..., Any], error: AdapterParseError) -> Any:
    """Return the predictor whose reply could not be read."""
    predictors = program.predictors() if isinstance(program, Module) else ()
    return next((each for each in predictors if each.signature == error.signature), None)
