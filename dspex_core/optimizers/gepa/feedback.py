"""What a metric says of one predictor's part in a prediction. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import functools
import inspect
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from dspex_core.errors import BudgetExceededError
from dspex_core.flow.steps import Call
from dspex_core.metrics.score import as_score, metric_name
from dspex_core.plain.display import error_text

if TYPE_CHECKING:
    from dspex_core.config.contracts import Trace
    from dspex_core.evaluation.case import CaseResult
    from dspex_core.evaluation.run import Metric
    from dspex_core.metrics.score import Score

_log = logging.getLogger("dspex")


class FeedbackMetric(Protocol):
    """A metric that says in words what was wrong, if it can for the predictor `pred_name`."""

    def __call__(
        self, gold: Any, pred: Any, trace: Any = None, pred_name: str | None = None, pred_trace: Any = None
    ) -> Any:
        """Return a number, a `Score` with feedback, or a `Prediction` with `score` and perhaps `feedback`.

        Args:
            gold: The example.
            pred: What the program returned.
            trace: All calls of predictors, as `(predictor, inputs, prediction)`; `None` while a program is scored.
            pred_name: The path of the predictor that feedback is wanted for; `None` while a program is scored.
            pred_trace: The call of that predictor.
        """


def scoring(metric: Metric) -> Metric:
    """Return a metric that can be called with an example and a prediction alone."""
    if _takes(metric, 2) or not _takes(metric, 5):
        return metric
    names = list(inspect.signature(metric).parameters)[2:5]
    return functools.partial(metric, **dict.fromkeys(names))


@dataclass
class Feedback:
    """Asks the metric for feedback, and warns once of each thing that a user should know.

    Args:
        metric: The metric.
        warns_of_mismatch: Whether to warn where a predictor's score is not that of the whole program.
    """

    metric: Metric
    warns_of_mismatch: bool = True
    _warned: set[str] = field(default_factory=set)

    def of(self, case: CaseResult, *, path: str, step: Any, trace: Trace) -> str:
        """Return feedback on a predictor's call in a case.

        Args:
            case: The example with its prediction and its score.
            path: The predictor's path.
            step: The call.
            trace: All calls of the case.
        """
        if case.error is not None:
            return f"The program failed after this step. {case.error}"
        score = self._score(case, path, step, trace) if _takes(self.metric, 5) else case.score
        if score.value != case.score.value and self.warns_of_mismatch:
            self._warn(
                "mismatch",
                f"the metric {metric_name(self.metric)!r} gives a predictor another score than the whole program; GEPA "
                "goes by that of the program, and takes the feedback only (warn_on_score_mismatch=False is silent)",
            )
        if score.feedback:
            return score.feedback
        self._warn(
            "none",
            f"the metric {metric_name(self.metric)!r} gives no feedback, so all that the reflection LM sees is the "
            "score. Return Score(value, feedback), with what was wrong and what would be right",
        )
        return f"Score: {case.score.value:g}."

    def _score(self, case: CaseResult, path: str, step: Any, trace: Trace) -> Score:
        try:
            result = Call(self.metric, (case.example, case.prediction, trace, path, [step])).run()
            return as_score(result, metric_name(self.metric))
        except BudgetExceededError:
            raise
        except Exception as error:  # noqa: BLE001  the user's metric: the score of the program stands
            self._warn("failed", f"the metric gave no feedback for {path!r}: {error_text(error)}")
            return case.score

    def _warn(self, kind: str, text: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            _log.warning("%s", text)


def _takes(metric: Metric, count: int) -> bool:
    """Whether a metric can be called with so many arguments."""
    try:
        inspect.signature(metric).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # of some built-in functions, which have no signature
        return count == 2  # noqa: PLR2004  an example and a prediction
    return True
