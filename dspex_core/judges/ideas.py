"""Metrics that ask a model. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.example import Prediction
from dspex_core.programs.base import running
from dspex_core.programs.built_in import BuiltIn
from dspex_core.programs.chain_of_thought import ChainOfThought
from dspex_core.signatures.signature import InputField, OutputField, Signature

if TYPE_CHECKING:
    from dspex_core.example import Example
    from dspex_core.flow.steps import Flow


class SemanticRecallPrecision(Signature):
    """Judge how far a response says the same as the right one, idea by idea, whatever its words."""

    question: str = InputField()
    ground_truth: str = InputField(desc="the right response")
    system_response: str = InputField(desc="the response to judge")
    recall: float = OutputField(allow_inf_nan=False, desc="from 0 to 1: how much of the right response it says")
    precision: float = OutputField(
        allow_inf_nan=False, desc="from 0 to 1: how much of what it says is in the right response"
    )


class DecompositionalSemanticRecallPrecision(Signature):
    """Judge how far a response says the same as the right one: list the ideas of both, then compare them."""

    question: str = InputField()
    ground_truth: str = InputField(desc="the right response")
    system_response: str = InputField(desc="the response to judge")
    ground_truth_key_ideas: str = OutputField()
    system_response_key_ideas: str = OutputField()
    discussion: str = OutputField(desc="which ideas are in both")
    recall: float = OutputField(allow_inf_nan=False, desc="from 0 to 1: how much of the right response it says")
    precision: float = OutputField(
        allow_inf_nan=False, desc="from 0 to 1: how much of what it says is in the right response"
    )


class SemanticF1(BuiltIn):
    """A metric: the harmonic mean of recall and precision of the ideas in `response`, as a model judges them.

    Examples have a `question` and a `response`, predictions a `response`.

    Args:
        threshold: The score that is good enough for a demo, while an optimizer collects them.
        decompositional: Whether the model lists the ideas of both responses first.
    """

    def __init__(
        self,
        threshold: float = 0.66,
        decompositional: bool = False,  # noqa: FBT001, FBT002  DSPy's signature
    ) -> None:
        self.threshold = threshold
        self.decompositional = decompositional
        asked = DecompositionalSemanticRecallPrecision if decompositional else SemanticRecallPrecision
        self.module = ChainOfThought(asked)

    def flow(self, example: Example, pred: Prediction, trace: Any = None) -> Flow[Prediction]:
        """Return a prediction with the `score`; with a trace, whether that reaches the threshold."""
        found = yield from running(
            self.module,
            question=example.question,
            ground_truth=example.response,
            system_response=pred.response,
        )
        score = f1_score(found.recall, found.precision)
        return Prediction(score=score if trace is None else score >= self.threshold)

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the arguments as they were given."""
        return {"threshold": self.threshold, "decompositional": self.decompositional}


class AnswerCompleteness(Signature):
    """Estimate how much of the right response a response says, idea by idea, whatever its words."""

    question: str = InputField()
    ground_truth: str = InputField(desc="the right response")
    system_response: str = InputField(desc="the response to judge")
    ground_truth_key_ideas: str = OutputField()
    system_response_key_ideas: str = OutputField()
    discussion: str = OutputField(desc="which ideas are in both")
    completeness: float = OutputField(allow_inf_nan=False, desc="from 0 to 1: how much of the right response it says")


class AnswerGroundedness(Signature):
    """Estimate how much of a response the retrieved documents, and plain common sense, support."""

    question: str = InputField()
    retrieved_context: str = InputField()
    system_response: str = InputField(desc="the response to judge")
    system_response_claims: str = OutputField(desc="what it claims that is worth checking")
    discussion: str = OutputField(desc="which claims are supported")
    groundedness: float = OutputField(allow_inf_nan=False, desc="from 0 to 1: how much of it is supported")


class CompleteAndGrounded(BuiltIn):
    """A metric: the harmonic mean of how complete and how grounded `response` is, as a model judges it.

    Examples have a `question` and a `response`, predictions a `response` and the `context` that was retrieved.

    Args:
        threshold: The score that is good enough for a demo, while an optimizer collects them.
    """

    def __init__(self, threshold: float = 0.66) -> None:
        self.threshold = threshold
        self.completeness_module = ChainOfThought(AnswerCompleteness)
        self.groundedness_module = ChainOfThought(AnswerGroundedness)

    def flow(self, example: Example, pred: Prediction, trace: Any = None) -> Flow[Prediction]:
        """Return a prediction with the `score`; with a trace, whether that reaches the threshold."""
        complete = yield from running(
            self.completeness_module,
            question=example.question,
            ground_truth=example.response,
            system_response=pred.response,
        )
        grounded = yield from running(
            self.groundedness_module,
            question=example.question,
            retrieved_context=pred.context,
            system_response=pred.response,
        )
        score = f1_score(complete.completeness, grounded.groundedness)
        return Prediction(score=score if trace is None else score >= self.threshold)

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the argument as it was given."""
        return {"threshold": self.threshold}


def f1_score(precision: float, recall: float) -> float:
    """Return the harmonic mean of two shares; what a model wrote beyond 0 and 1 counts as these."""
    precision, recall = (min(1.0, max(0.0, share)) for share in (precision, recall))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
