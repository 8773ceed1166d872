"""The items that a streamed program emits. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class StreamResponse(NamedTuple):  # as LMChunk, made for every few letters
    """A piece of an output that a predictor is writing.

    Args:
        predict_name: The predictor's path in the program.
        signature_field_name: The output.
        chunk: The next part of its text; for values that are not text, of their JSON.
        is_last_chunk: Whether the output is then complete.
        replaces: Whether this chunk is all of the output, and those before it were not: the model has revised a draft
            in its reply, or was asked again after a reply that could not be read. It may come after the last chunk.
    """

    predict_name: str
    signature_field_name: str
    chunk: str
    is_last_chunk: bool
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class StatusMessage:
    """A message for people about the program's progress."""

    message: str


class StatusMessageProvider:
    """Writes status messages for the steps of a program; subclass it to change them.

    Each method returns a text, or `None` for no message. They have DSPy's names and receive the arguments of a
    `BaseCallback`'s handlers.
    """

    def tool_start_status_message(self, instance: Any, inputs: dict[str, Any]) -> str | None:
        """Return the message before a tool is called."""
        return f"Calling tool {instance.name}..."

    def tool_end_status_message(self, outputs: Any) -> str | None:
        """Return the message after a tool has returned; `outputs` is its result."""
        return "The tool has answered"

    def module_start_status_message(self, instance: Any, inputs: dict[str, Any]) -> str | None:
        """Return the message before a module runs; `None` by default."""
        return None

    def module_end_status_message(self, outputs: Any) -> str | None:
        """Return the message after a module has run; `outputs` is its result; `None` by default."""
        return None

    def lm_start_status_message(self, instance: Any, inputs: dict[str, Any]) -> str | None:
        """Return the message before an LM is called; `None` by default."""
        return None

    def lm_end_status_message(self, outputs: Any) -> str | None:
        """Return the message after an LM has answered; `None` by default."""
        return None
