"""ChainOfThought: let the model reason before it answers. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.programs.base import running
from dspex_core.programs.built_in import BuiltIn
from dspex_core.programs.predict import Predict
from dspex_core.signatures.signature import OutputField, Signature, ensure_signature

if TYPE_CHECKING:
    from dspex_core.flow.steps import Flow
    from dspex_core.signatures.signature import SignatureField


class ChainOfThought(BuiltIn):
    """`Predict` with an output `reasoning` that the model writes before the others.

    Source: Wei et al. 2022, "Chain-of-Thought Prompting Elicits Reasoning in Large Language Models".

    Args:
        signature: A `Signature` class or its string form.
        rationale_field: The output `reasoning`, if it is to be described in other words. One that the signature has
            itself is used as it is.
        rationale_field_type: Its type; with `Reasoning` a model that reasons by itself is not asked to write it.
        **config: Sampling parameters of every call, as for `Predict`.
    """

    def __init__(
        self,
        signature: str | type[Signature],
        rationale_field: SignatureField | None = None,
        rationale_field_type: type = str,
        **config: Any,
    ) -> None:
        task = ensure_signature(signature)
        own = task.output_fields.get("reasoning")
        # No description: a small model repeats it instead of reasoning.
        reasoning = own or rationale_field or OutputField()
        self._has_own = own is not None
        task = task.delete("reasoning") if own else task
        reasoned = task.prepend("reasoning", reasoning, rationale_field_type if own is None else own.annotation)
        self.predict = Predict(reasoned, **config)

    def flow(self, *unnamed: Any, **inputs: Any) -> Flow[Any]:
        """Ask once."""
        return (yield from running(self.predict, *unnamed, **inputs))

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the signature as it was given."""
        signature = self.predict.signature
        return {"signature": signature if self._has_own else signature.delete("reasoning")}
