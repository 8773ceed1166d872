"""Judges with a rubric: criteria, and a scale on which the model answers. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.judges.base import BaseJudge, Opinion
from dspex_core.judges.material import FENCED, checked_fields, fenced, shown_texts
from dspex_core.judges.scale import Scale
from dspex_core.programs.base import running
from dspex_core.programs.predict import Predict
from dspex_core.signatures.signature import InputField, OutputField, make_signature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.flow.steps import Flow
    from dspex_core.judges.material import Texts
    from dspex_core.judges.scale import Given

_TASK = """\
Judge the text in the material by these criteria, and by nothing else:

{criteria}

{fenced}"""
_RELEVANCE = """\
How well the answer answers the question: it addresses what is asked for, all of it, and adds nothing beside the point.
Whether the answer is true is of no matter here."""


class Judge(BaseJudge):
    """A metric by a rubric: a model reads criteria and a prediction, reasons, and answers on a scale.

    The score is 1 for the best answer on the scale and 0 for the worst; the feedback is the model's reasoning.

    Args:
        criteria: What is wanted of a prediction, in words.
        scale: `5` for whole numbers from 1 to 5, `(0, 10)` for 0 to 10; `2` or `bool` for yes and no.
        fields: Which fields the judge sees: names, or `"example.NAME"` and `"prediction.NAME"`; by default the
            inputs of the example and all of the prediction. A name alone is the prediction's field, or else the
            example's. `"example.answer"` shows the right answer.
        **options: `lm`, `votes`, `temperature`, `threshold` and `name`, as for `BaseJudge`.
    """

    def __init__(self, criteria: str, *, scale: Given = 5, fields: Sequence[str] | None = None, **options: Any) -> None:
        self.criteria = checked_criteria(criteria)
        self.scale = Scale.of(scale)
        self.given_scale = given_scale(scale)
        self.fields = checked_fields(fields)
        fields_asked = {"material": InputField(), **self.outputs(self.scale)}
        task = _TASK.format(criteria=self.criteria, fenced=FENCED)
        self.judge = Predict(make_signature(fields_asked, task, "Judging"))
        super().__init__(**options)

    @staticmethod
    def outputs(scale: Scale) -> dict[str, Any]:
        """Return the outputs of the model, in their order."""
        return {"reasoning": OutputField(), "score": (scale.answer_type, scale.output())}

    def opinion(self, example: Any, prediction: Any, config: Mapping[str, Any]) -> Flow[Opinion]:
        """Ask once."""
        assert self.scale is not None, "the constructor sets it"
        material = fenced(self.texts(example, prediction))
        found = yield from running(self.judge, material=material, config=config)
        return Opinion(self.scale.value(found.score), f"{self.shown(found.score)}: {found.reasoning}", found.score)

    def texts(self, example: Any, prediction: Any) -> Texts:
        """Return the texts that the judge sees, by their titles."""
        return shown_texts(example, prediction, self.fields)

    def shown(self, answer: Any) -> str:
        """Return an answer as feedback shows it."""
        assert self.scale is not None, "the constructor sets it"
        return str(answer) if self.scale.is_yes_or_no else f"{answer} of {self.scale.high}"

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the arguments as they were given, without the LM."""
        fields = None if self.fields is None else list(self.fields)
        return {"criteria": self.criteria, "scale": self.given_scale, "fields": fields, **self.options()}


class AnswerRelevance(Judge):
    """A metric: how well a prediction answers what the example asks, whether or not it is true.

    Args:
        scale, fields: As for `Judge`.
        **options: As for `BaseJudge`.
    """

    def __init__(self, *, scale: Given = 5, fields: Sequence[str] | None = None, **options: Any) -> None:
        super().__init__(_RELEVANCE, scale=scale, fields=fields, **options)

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the arguments as they were given, without the LM."""
        return {name: value for name, value in super().constructor_arguments().items() if name != "criteria"}


def checked_criteria(criteria: Any) -> str:
    """Return criteria that say something.

    Raises:
        ConfigurationError: They do not.
    """
    if not isinstance(criteria, str) or not criteria.strip():
        raise ConfigurationError(
            f'criteria say in words what is wanted, such as "polite and concise", not {criteria!r}'
        )
    return criteria


def given_scale(scale: Given) -> int | list[int]:
    """Return a scale as files hold it, for `Scale.of`."""
    if isinstance(scale, type):
        return 2
    return scale if isinstance(scale, int) else list(scale)
