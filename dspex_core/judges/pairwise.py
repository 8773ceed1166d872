"""PairwiseJudge: which of two predictions is better, asked in both orders. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from dspex_core.errors import ConfigurationError
from dspex_core.flow.steps import adrive, drive
from dspex_core.judges.agreement import PositionBias
from dspex_core.judges.base import BaseJudge, Opinion
from dspex_core.judges.material import FENCED, checked_fields, fenced, fields_of, inputs_of, titled
from dspex_core.judges.rubric import checked_criteria
from dspex_core.metrics.score import Score
from dspex_core.programs.base import running
from dspex_core.programs.predict import Predict
from dspex_core.signatures.signature import InputField, OutputField, make_signature
from dspex_core.stats import Interval, mean_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dspex_core.flow.steps import Flow

Outcome = Literal["first", "second", "tie", "inconsistent"]
_WORTH: Mapping[str, float] = {"first": 1.0, "second": 0.0, "tie": 0.5, "inconsistent": 0.5}
_SAID = {"A": "first", "B": "second", "tie": "tie"}
_SWAPPED = {"first": "second", "second": "first", "tie": "tie"}
_WORDS = {
    "first": "better than the other",
    "second": "worse than the other",
    "tie": "as good as the other",
    "inconsistent": "the judge changed its mind with the order",
}
_TASK = """\
Two responses, A and B, were given to the same task. Judge which one is better by these criteria, and by nothing else:

{criteria}

Their order and their length say nothing of how good they are. If neither is better, it is a tie.

{fenced}"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Which of two predictions is better.

    Args:
        outcome: `"first"`, `"second"` or `"tie"` where both orders agree, else `"inconsistent"`.
        verdicts: What the model said of the first and the second prediction: as given, and swapped.
        reasoning: Why, in both orders.
    """

    outcome: Outcome
    verdicts: tuple[str, str]
    reasoning: tuple[str, str]

    @property
    def value(self) -> float:
        """1 for the first prediction, 0 for the second, 0.5 for neither."""
        return _WORTH[self.outcome]


@dataclass(frozen=True, slots=True)
class WinRate:
    """How often the first predictions were better; a tie and an inconsistent pair are half a win each.

    Args:
        rate, interval: The share of wins, and its 95 % confidence interval.
        wins, ties, losses, inconsistent: How many pairs there are of each.
        position: How often the order decided.
    """

    rate: float
    interval: Interval
    wins: int
    ties: int
    losses: int
    inconsistent: int
    position: PositionBias

    def __str__(self) -> str:
        counts = f"{self.wins} wins, {self.ties} ties, {self.losses} losses, {self.inconsistent} inconsistent"
        return f"win rate {self.rate:.3f} [{self.interval.low:.3f}, {self.interval.high:.3f}]: {counts}"


class PairwiseJudge(BaseJudge):
    """A metric: whether a prediction is better than another one of the same row.

    Each pair is asked for in both orders, since models favour a place (Zheng et al. 2023, "Judging LLM-as-a-Judge with
    MT-Bench and Chatbot Arena"). The score is 1 where the prediction is better in both, 0 where the other one is, and
    0.5 for a tie or where the orders disagree; `details["outcome"]` says which. Their mean is the win rate.

    Args:
        criteria: What makes a prediction better, in words.
        against: The field of the example that holds the other response: a text, or a record with the same fields.
        fields: The fields of the predictions that are compared; by default all.
        inputs: The fields of the example that are the task; by default its inputs, and `[]` for none.
        **options: As for `BaseJudge`.

    Raises on a call:
        JudgeError: The model failed, or its answer cannot be read.
        ConfigurationError: A field does not exist.
    """

    def __init__(
        self,
        criteria: str,
        *,
        against: str = "baseline",
        fields: Sequence[str] | None = None,
        inputs: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        self.criteria = checked_criteria(criteria)
        self.against = against
        self.fields = checked_fields(fields)
        self.inputs = None if inputs is None else tuple(inputs)
        asked = {"reasoning": OutputField(), "better": (Literal["A", "B", "tie"], OutputField())}
        task = _TASK.format(criteria=self.criteria, fenced=FENCED)
        self.judge = Predict(make_signature({"material": InputField(), **asked}, task, "Comparing"))
        super().__init__(**options)

    def opinion(self, example: Any, prediction: Any, config: Mapping[str, Any]) -> Flow[Opinion]:
        """Compare a prediction with the other response of its row."""
        given = fields_of(example)
        if self.against not in given:
            raise ConfigurationError(
                f"the other response is to be in the example's field {self.against!r}; it has: {', '.join(given)}"
            )
        other, names = given[self.against], self.fields or tuple(fields_of(prediction))
        if isinstance(other, str) and len(names) == 1:  # a text in the dataset is the one field that is compared
            other = {names[0]: other}
        found = yield from self._compared(example, prediction, other, config)
        details = {"outcome": found.outcome, "verdicts": list(found.verdicts)}
        feedback = f"{_WORDS[found.outcome]}: {' / '.join(found.reasoning)}"
        return Opinion(found.value, feedback, found.outcome, details)

    def compare(self, example: Any, first: Any, second: Any) -> Comparison:
        """Compare two predictions, or texts, in both orders."""
        found: Comparison = drive(self.judging(self._compared(example, first, second, self.sampling(0))))
        return found

    async def acompare(self, example: Any, first: Any, second: Any) -> Comparison:
        """`compare` without blocking the event loop."""
        found: Comparison = await adrive(self.judging(self._compared(example, first, second, self.sampling(0))))
        return found

    def _compared(self, example: Any, first: Any, second: Any, config: Mapping[str, Any]) -> Flow[Comparison]:
        one, other = self._chosen(first), self._chosen(second)
        task = titled(self._task(example, without={**one, **other}), "given")
        said, why = [], []
        for a, b in ((one, other), (other, one)):
            material = fenced({**task, **titled(a, "response A"), **titled(b, "response B")})
            found = yield from running(self.judge, material=material, config=config)
            said.append(_SAID[found.better])
            why.append(found.reasoning)
        verdicts = said[0], _SWAPPED[said[1]]
        outcome: Any = verdicts[0] if verdicts[0] == verdicts[1] else "inconsistent"
        return Comparison(outcome, verdicts, (why[0], why[1]))

    def _chosen(self, prediction: Any) -> dict[str, Any]:
        made = fields_of(prediction)
        missing = [name for name in self.fields or () if name not in made]
        if missing or not made:
            raise ConfigurationError(
                f"a prediction to compare lacks {', '.join(missing) or 'all fields'}; it has: {made}"
            )
        return made if self.fields is None else {name: made[name] for name in self.fields}

    def _task(self, example: Any, *, without: Mapping[str, Any]) -> dict[str, Any]:
        if self.inputs is None:
            return {name: value for name, value in inputs_of(example, without=without).items() if name != self.against}
        given = fields_of(example)
        missing = [name for name in self.inputs if name not in given]
        if missing:
            raise ConfigurationError(f"the example has no field {', '.join(missing)}; it has: {', '.join(given)}")
        return {name: given[name] for name in self.inputs}

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the arguments as they were given, without the LM."""
        lists = {"fields": self.fields, "inputs": self.inputs}
        listed = {name: None if value is None else list(value) for name, value in lists.items()}
        return {"criteria": self.criteria, "against": self.against, **listed, **self.options()}


def win_rate(comparisons: Iterable[Comparison | Score]) -> WinRate:
    """Return how often the first predictions were better.

    Args:
        comparisons: What `compare` returned, or the scores of a `PairwiseJudge` with one vote.

    Raises:
        ConfigurationError: There are none, or one is not a comparison.
    """
    found = [_outcome_of(one) for one in comparisons]
    if not found:
        raise ConfigurationError("a win rate needs at least one comparison")
    outcomes = [outcome for outcome, _ in found]
    values = [_WORTH[outcome] for outcome in outcomes]
    return WinRate(
        fmean(values),
        mean_interval(values),
        wins=outcomes.count("first"),
        ties=outcomes.count("tie"),
        losses=outcomes.count("second"),
        inconsistent=outcomes.count("inconsistent"),
        position=position_bias(verdicts for _, verdicts in found),
    )


def position_bias(verdicts: Iterable[Sequence[str]]) -> PositionBias:
    """Return the bias by position in what a judge said of the pairs as given and swapped."""
    pairs = [(one, other) for one, other in verdicts]
    return PositionBias(
        n=len(pairs),
        inconsistent=sum(one != other for one, other in pairs),
        to_first=pairs.count(("first", "second")),
        to_second=pairs.count(("second", "first")),
    )


def _outcome_of(comparison: Any) -> tuple[str, Sequence[str]]:
    if isinstance(comparison, Comparison):
        return comparison.outcome, comparison.verdicts
    details = comparison.details if isinstance(comparison, Score) else {}
    if "votes" in details or not {"outcome", "verdicts"} <= details.keys():
        raise ConfigurationError(f"{comparison!r} is not a comparison, nor the score of a PairwiseJudge with one vote")
    return details["outcome"], details["verdicts"]
