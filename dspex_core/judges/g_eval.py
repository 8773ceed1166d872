"""GEval: criteria become steps of evaluation, and the score is weighed by probabilities. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dspex_core.config import current
from dspex_core.errors import ConfigurationError, LMInvalidRequestError, LMUnsupportedFeatureError
from dspex_core.flow.steps import adrive, drive
from dspex_core.judges.base import Opinion, score_of
from dspex_core.judges.material import fenced
from dspex_core.judges.rubric import Judge
from dspex_core.judges.weighing import WEIGHED, weighed
from dspex_core.programs.base import running
from dspex_core.programs.predict import Predict
from dspex_core.signatures.signature import InputField, OutputField, make_signature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.config.contracts import Recorder
    from dspex_core.flow.steps import Flow
    from dspex_core.judges.scale import Given, Scale
    from dspex_core.metrics.score import Score

_WRITE = """\
Someone is to judge texts by the criteria. Write the steps to go through for each text: three to six short instructions
in their order, each a check that can be made on the text alone. The last one comes to a score."""
_HEADING = "Go through these steps:"
_NUMBER = re.compile(r"^(?:(?:step\s+)?\d+[.):]|[-*])\s+", re.IGNORECASE)  # that of a step, as models write it
_STEP = re.compile(r"^\d+\. (.+)$", re.MULTILINE)


class GEval(Judge):
    """A metric by steps of evaluation, which the model itself has written from the criteria.

    The steps are written at the first call, or by `write_steps`, and are a part of the program: `save` keeps them.
    Where calls are recorded, each recorder gets the call for them once, so that a test's cassette depends on no other
    test; give the steps, or load a judge that has some, to spare these calls.

    The score is the mean of the answers by the probabilities that the model gave them, where the LM returns those
    (`logprobs`); else the mean of votes.

    Source: Liu et al. 2023, "G-Eval: NLG Evaluation using GPT-4 with Better Human Alignment".

    Args:
        criteria: What is wanted of a prediction, in words.
        steps: The steps, if they are not to be written by the model.
        scale, fields: As for `Judge`.
        votes: How many votes are asked for where the LM returns no probabilities.
        logprobs: Whether to ask for probabilities.
        **options: `lm`, `temperature`, `threshold` and `name`, as for `BaseJudge`.
    """

    def __init__(
        self,
        criteria: str,
        *,
        steps: Sequence[str] | None = None,
        scale: Given = 5,
        fields: Sequence[str] | None = None,
        votes: int = 5,
        logprobs: bool = True,
        **options: Any,
    ) -> None:
        self.writer = Predict(
            make_signature(
                {"criteria": InputField(), "scale": InputField(), "steps": (list[str], OutputField())}, _WRITE, "Steps"
            )
        )
        self.logprobs = logprobs
        super().__init__(criteria, scale=scale, fields=fields, votes=votes, **options)
        self._kept = _Kept()
        if steps is not None:
            self.judge = self._with(checked_steps(steps))

    @staticmethod
    def outputs(scale: Scale) -> dict[str, Any]:
        """Return the outputs: the score is first, so that no reasoning of this one reply sways its probabilities."""
        return {"score": (scale.answer_type, scale.output()), "reasoning": OutputField(desc="why")}

    @property
    def evaluation_steps(self) -> tuple[str, ...]:
        """The steps of evaluation; empty until they have been written."""
        return _steps_in(self.judge) or self._kept.steps

    def write_steps(self) -> tuple[str, ...]:
        """Let the model write the steps, unless there are some, and make them a part of the judge; return them."""
        if not _steps_in(self.judge):
            self.judge = self._with(self._kept.steps or drive(self.judging(self._written())))
        return self.evaluation_steps

    async def awrite_steps(self) -> tuple[str, ...]:
        """`write_steps` without blocking the event loop."""
        if not _steps_in(self.judge):
            self.judge = self._with(self._kept.steps or await adrive(self.judging(self._written())))
        return self.evaluation_steps

    def _voted(self, example: Any, prediction: Any) -> Flow[Score]:
        judge = yield from self._ready()
        material = fenced(self.texts(example, prediction))
        opinions = [(yield from self._first(judge, material))]
        if "probabilities" not in opinions[0].details:
            for number in range(1, self.votes):
                opinion = yield from self._asked(judge, material, self.sampling(number))
                opinions.append(opinion)
        return score_of(opinions)

    def _ready(self) -> Flow[Predict]:
        """Return the predictor with its steps."""
        if _steps_in(self.judge):
            return self.judge
        steps, recorder = self._kept.steps_for(current().recorder), current().recorder
        if not steps:
            steps = yield from self._written()
            steps = self._kept.keep(steps, recorder)
        return self._with(steps)

    def _first(self, judge: Predict, material: str) -> Flow[Opinion]:
        """Ask with probabilities; a model that refuses to return them is asked without."""
        config = self.sampling(0)
        if self.logprobs:
            try:
                return (yield from self._asked(judge, material, {**config, **WEIGHED}))
            except (LMUnsupportedFeatureError, LMInvalidRequestError):
                pass
        return (yield from self._asked(judge, material, config))

    def _asked(self, judge: Predict, material: str, config: Mapping[str, Any]) -> Flow[Opinion]:
        assert self.scale is not None, "the constructor sets it"
        found = yield from running(judge, material=material, config=config)
        feedback = f"{self.shown(found.score)}: {found.reasoning}"
        mean = weighed(self.scale, found.score, found.get("logprobs"))
        if mean is None:
            return Opinion(self.scale.value(found.score), feedback, found.score)
        return Opinion(mean.value, feedback, found.score, {"probabilities": dict(mean.probabilities)})

    def _written(self) -> Flow[tuple[str, ...]]:
        assert self.scale is not None, "the constructor sets it"
        found = yield from running(self.writer, criteria=self.criteria, scale=", ".join(self.scale.names))
        return checked_steps(found.steps)

    def _with(self, steps: Sequence[str]) -> Predict:
        """Return the predictor with steps in its instructions."""
        judge = self.judge.deepcopy()
        listed = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
        judge.signature = judge.signature.append_instructions(f"{_HEADING}\n{listed}")
        return judge

    def dump_state(self) -> dict[str, Any]:
        """Return the state of each predictor; the steps are in the instructions of `judge`."""
        state = super().dump_state()
        if self._kept.steps and not _steps_in(self.judge):
            state["judge"] = self._with(self._kept.steps).dump_state()
        return state

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the arguments as they were given, without the LM; the steps are a part of the state."""
        return {**super().constructor_arguments(), "logprobs": self.logprobs}


class _Kept:
    """The steps that were written during a call, and the recorder that got the call which wrote them.

    They are kept apart from the predictor: what a metric is does not depend on whether it has been called, and neither
    do the fingerprints of journals and artifacts.
    """

    def __init__(self, steps: tuple[str, ...] = ()) -> None:
        self.steps = steps
        self.recorder: Recorder | None = None

    def steps_for(self, recorder: Recorder | None) -> tuple[str, ...]:
        """Return the steps, unless they are of another recorder's call."""
        is_anothers = recorder is not None and self.recorder is not None and recorder is not self.recorder
        return () if is_anothers else self.steps

    def keep(self, steps: tuple[str, ...], recorder: Recorder | None) -> tuple[str, ...]:
        """Keep steps, and return those to judge by: of several calls at once, the first to have some."""
        if not self.steps:
            self.steps, self.recorder = steps, recorder
        return self.steps_for(recorder) or steps

    def __reduce__(self) -> tuple[type[_Kept], tuple[tuple[str, ...]]]:
        return _Kept, (self.steps,)


def _steps_in(judge: Predict) -> tuple[str, ...]:
    _, _, listed = judge.signature.instructions.partition(_HEADING)
    return tuple(_STEP.findall(listed))


def checked_steps(steps: Any) -> tuple[str, ...]:
    """Return steps as lines.

    Raises:
        ConfigurationError: There are none.
    """
    given = [] if isinstance(steps, str) else [" ".join(str(step).split()) for step in steps]
    lines = [line for step in given if (line := _NUMBER.sub("", step))]
    if not lines:
        raise ConfigurationError(f"a judge needs steps of evaluation, a list of texts, not {steps!r}")
    return tuple(lines)
