"""ChainOfThought: let the model reason before it answers. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.programs.base import Module
from dspex_core.programs.predict import Predict
from dspex_core.signature import OutputField, Signature, ensure_signature

if TYPE_CHECKING:
    from dspex_core.flow import Flow


class ChainOfThought(Module):
    """`Predict` with an output `reasoning` that the model writes before the others.

    Source: Wei et al. 2022, "Chain-of-Thought Prompting Elicits Reasoning in Large Language Models".

    Args:
        signature: A `Signature` class or its string form.
        **config: Sampling parameters of every call, as for `Predict`.
    """

    def __init__(self, signature: str | type[Signature], **config: Any) -> None:
        reasoning = OutputField(desc="the steps that lead to the answer")
        self.predict = Predict(ensure_signature(signature).prepend("reasoning", reasoning, str), **config)

    def flow(self, **inputs: Any) -> Flow[Any]:
        """Ask once."""
        return (yield from self.predict.steps(**inputs))
