"""The two-step adapter: one model answers freely, a second one extracts the outputs. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dspex_core.adapters.base import Adapter, Extraction
from dspex_core.adapters.chat import ChatAdapter
from dspex_core.adapters.shown_fields import NOT_SUPPLIED, listing, present, to_text
from dspex_core.messages import Message
from dspex_core.signatures.signature import InputField, make_signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.config.contracts import LanguageModel
    from dspex_core.signatures.signature import Signature


@dataclass(frozen=True)
class TwoStepAdapter(Adapter):
    """A natural prompt for the main LM, and a second call that extracts the outputs from its answer.

    For models that reason well but do not follow formats. Each answer costs one more call.

    Args:
        extraction_model: The LM of the second call; a small one will do.
        extraction_adapter: The format of the second call. Its fallback is tried as usual.
    """

    extraction_model: LanguageModel
    extraction_adapter: Adapter = field(default_factory=ChatAdapter)

    def system(self, signature: type[Signature]) -> str:
        """Write the instructions and the fields, without a format."""
        parts = [
            signature.instructions,
            listing("You are given:", signature.input_fields.values()),
            listing("Your answer must state:", signature.output_fields.values()),
            "Write it in your own words, so clearly that a reader can tell the value of each.",
        ]
        return "\n\n".join(part for part in parts if part)

    def inputs(self, signature: type[Signature], values: Mapping[str, Any]) -> str:
        """Write each input after its name."""
        return _lines({name: to_text(value) for name, value in present(signature.input_fields, values)})

    def assistant(self, signature: type[Signature], outputs: Mapping[str, Any]) -> Message:
        """Write each output after its name."""
        given = dict(present(signature.output_fields, outputs))
        texts = {name: to_text(given.get(name, NOT_SUPPLIED)) for name in signature.output_fields}
        return Message("assistant", _lines(texts))

    def parse(self, signature: type[Signature], completion: str) -> dict[str, Any]:
        """Read the reply of the extraction model."""
        return self.extraction_adapter.parse(signature, completion)

    def extraction(self, signature: type[Signature]) -> Extraction:
        """Return the call that extracts the outputs from the main LM's answer."""
        outputs = signature.output_fields
        given = "text" if "text" not in outputs else "_".join(["text", *outputs])  # a name that no output has
        names = ", ".join(f"`{name}`" for name in outputs)
        instructions = f"Read {names} out of `{given}`, word for word as it says them; add nothing of your own."
        asked = make_signature({given: InputField(), **outputs}, instructions)
        return Extraction(self.extraction_model, self.extraction_adapter, asked)


def _lines(texts: Mapping[str, str]) -> str:
    return "\n\n".join([f"{name}: {text}" for name, text in texts.items()])
