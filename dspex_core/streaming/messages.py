"""What a streamed program tells while it runs. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class StreamResponse(NamedTuple):  # as LMChunk, made for every few letters
    """A piece of an output that a predictor is writing.

    Args:
        predict_name: The predictor's path in the program.
        signature_field_name: The output.
        chunk: Some more of its text; the JSON of a value that is no text.
        is_last_chunk: Whether it is complete with that.
    """

    predict_name: str
    signature_field_name: str
    chunk: str
    is_last_chunk: bool


@dataclass(frozen=True, slots=True)
class StatusMessage:
    """What the program is doing, for people."""

    message: str


class StatusMessageProvider:
    """Says what is told of the steps of a program; a subclass says more, or less.

    Each method returns a text, or `None` for nothing. They are given what the handlers of a `BaseCallback`
    are, and have DSPy's names.
    """

    def tool_start_status_message(self, instance: Any, inputs: dict[str, Any]) -> str | None:
        """Say that a tool is about to be called."""
        return f"Calling the tool {instance.name}"

    def tool_end_status_message(self, outputs: Any) -> str | None:
        """Say that a tool has returned; `outputs` is its result."""
        return "The tool has answered"

    def module_start_status_message(self, instance: Any, inputs: dict[str, Any]) -> str | None:
        """Say that a module is about to run; nothing by default."""
        return None

    def module_end_status_message(self, outputs: Any) -> str | None:
        """Say that a module has run; `outputs` is its result; nothing by default."""
        return None

    def lm_start_status_message(self, instance: Any, inputs: dict[str, Any]) -> str | None:
        """Say that an LM is about to be asked; nothing by default."""
        return None

    def lm_end_status_message(self, outputs: Any) -> str | None:
        """Say that an LM has answered; nothing by default."""
        return None
