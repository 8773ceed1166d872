"""The base of the judges: votes, their score, and errors with the judge's name. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from dspex_core.config import context, current
from dspex_core.errors import AdapterParseError, ConfigurationError, JudgeError, LMError, SignatureError
from dspex_core.judges.correction import corrected_mean
from dspex_core.metrics.score import Score
from dspex_core.plain.counts import whole_number
from dspex_core.plain.display import error_text
from dspex_core.programs.base import Module

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dspex_core.config.contracts import LanguageModel
    from dspex_core.flow.steps import Flow
    from dspex_core.judges.agreement import Calibration
    from dspex_core.judges.correction import Corrected, Evaluated
    from dspex_core.judges.scale import Scale

_VOTING = 1.0  # the temperature of votes
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Opinion:
    """One vote of a judge.

    Args:
        value: Its score, from 0 to 1.
        feedback: Why.
        answer: What the model answered, on the judge's scale.
        details: More about it, as JSON data.
    """

    value: float
    feedback: str
    answer: Any
    details: Mapping[str, Any] = field(default_factory=dict)


class BaseJudge(Module):
    """A metric that asks a model: `judge(example, prediction)` returns a `Score` with feedback.

    Subclasses define `opinion`, make their predictors, and then call this constructor.

    Args:
        lm: The LM of this judge; by default `settings.judge_lm`, or else that of the settings.
        votes: How often the model is asked. The votes differ in caches and cassettes (`rollout_id`); the score is their
            mean, and `details` has them (`votes`) and their standard deviation (`stdev`).
        temperature: That of the votes; 1 by default. A single vote is asked at the LM's own.
        threshold: What is good enough for a demo: with a `trace`, while an optimizer collects demos, a score is 1 from
            here on, else 0. `None` returns the score itself.
        name: The name of the metric in reports and gates.

    Raises on a call:
        JudgeError: The model failed, or its answer cannot be read or is not on the scale.
    """

    scale: Scale | None = None  # that of its answers; without one they are shares from 0 to 1

    def __init__(
        self,
        *,
        lm: LanguageModel | None = None,
        votes: int = 1,
        temperature: float | None = None,
        threshold: float | None = 0.66,
        name: str | None = None,
    ) -> None:
        votes = whole_number("votes", votes)
        if votes > 1 and temperature is not None and temperature <= 0:
            raise ConfigurationError(f"{votes} votes at temperature {temperature!r} are one vote: it must be above 0")
        self.votes = votes
        self.temperature = temperature
        self.threshold = threshold
        self.name = name
        if lm is not None:
            self.set_lm(lm)

    @property
    def __name__(self) -> str:
        """The name under which reports show the metric."""
        return self.name or _CAPITAL.sub("_", type(self).__qualname__).lower()

    if TYPE_CHECKING:

        def __call__(self, *args: Any, **inputs: Any) -> Score:
            """Judge a prediction: `judge(example, prediction, trace=None)`."""

        async def acall(self, *args: Any, **inputs: Any) -> Score:
            """Judge a prediction without blocking the event loop."""

    def opinion(self, example: Any, prediction: Any, config: Mapping[str, Any]) -> Flow[Opinion]:
        """Ask for one vote.

        Args:
            example: The row.
            prediction: What is judged.
            config: The sampling parameters of each call.
        """
        raise NotImplementedError(f"{type(self).__name__} must define opinion(self, example, prediction, config)")

    def flow(
        self,
        example: Any,
        prediction: Any,
        trace: Any = None,
        pred_name: str | None = None,
        pred_trace: Any = None,
    ) -> Flow[Score]:
        """Judge a prediction."""
        score: Score = yield from self.judging(self._voted(example, prediction))
        if trace is None or pred_name is not None or self.threshold is None:
            return score
        return Score(float(score.value >= self.threshold), score.feedback, score.details)

    def judging(self, flow: Flow[Any]) -> Flow[Any]:
        """Run a flow with the LM of judges, and name this judge in its errors."""
        judge_lm = current().judge_lm
        with context(**({} if judge_lm is None else {"lm": judge_lm})):
            try:
                return (yield from flow)
            except (AdapterParseError, LMError, SignatureError) as error:
                raise JudgeError(f"the judge {self.__name__!r} failed: {error_text(error)}") from error

    def _voted(self, example: Any, prediction: Any) -> Flow[Score]:
        opinions = []
        for number in range(self.votes):
            opinion = yield from self.opinion(example, prediction, self.sampling(number))
            opinions.append(opinion)
        return score_of(opinions)

    def sampling(self, number: int) -> dict[str, Any]:
        """Return the sampling parameters of a vote; those of a single one are the LM's."""
        if self.votes == 1:
            return {} if self.temperature is None else {"temperature": self.temperature}
        return self.rollout(number)

    def rollout(self, number: int) -> dict[str, Any]:
        """Return the sampling parameters that make a vote unlike the others."""
        own = (predictor.lm for _, predictor in self.every_predictor() if predictor.lm is not None)
        lm = next(own, None) or current().lm
        first = (None if lm is None else lm.config.get("rollout_id")) or 0
        return {"temperature": _VOTING if self.temperature is None else self.temperature, "rollout_id": first + number}

    @staticmethod
    def corrected(
        judged: Iterable[Any] | Evaluated,
        labelled: Calibration | Iterable[tuple[Any, Any]],
        *,
        confidence: float = 0.95,
    ) -> Corrected:
        """Return the mean that people would give many rows, from a judge's scores of them and a few labels of people.

        Args:
            judged: The judge's scores of the rows without labels: numbers, `Score`s, or an `EvaluationResult`.
            labelled: What `calibrate` returned; or pairs of the judge's score and the person's, from 0 to 1. Its rows
                are drawn at random from the same rows as `judged`, and are not among those.
            confidence: That of the interval.

        Source: Angelopoulos et al. 2023 and 2024; see `dspex_core.stats.prediction_powered_mean`.

        Raises:
            ConfigurationError: There are fewer than three labelled rows, or no judged ones, or a score is not finite.
        """
        return corrected_mean(judged, labelled, confidence=confidence)

    def options(self) -> dict[str, Any]:
        """Return the arguments of this constructor as they were given, without the LM, which no file holds."""
        names = ("votes", "temperature", "threshold", "name")
        return {name: getattr(self, name) for name in names}


def score_of(opinions: Sequence[Opinion]) -> Score:
    """Return the mean of votes, with the feedback of the lowest."""
    lowest = min(opinions, key=lambda opinion: opinion.value)
    if len(opinions) == 1:
        return Score(lowest.value, lowest.feedback, {"answer": lowest.answer, **lowest.details})
    values = [opinion.value for opinion in opinions]
    details = {
        **lowest.details,
        "votes": values,
        "stdev": stdev(values),
        "answers": [opinion.answer for opinion in opinions],
    }
    feedback = lowest.feedback if min(values) == max(values) else f"{len(values)} votes, the lowest: {lowest.feedback}"
    return Score(fmean(values), feedback, details)
