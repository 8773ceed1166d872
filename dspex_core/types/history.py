"""The earlier turns of a conversation. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import Any

import pydantic

from dspex_core.plain.prompt_values import EarlierTurns


class History(pydantic.BaseModel, EarlierTurns):
    """The earlier turns of a conversation, each a mapping of the signature's fields to their values.

    An input of this type is shown to the model as messages before the last one:
    `History(messages=[{"question": "...", "answer": "..."}])`. A turn may also be a message in OpenAI's form,
    `{"role": "user", "content": "..."}`, which is shown as it is.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    messages: list[dict[str, Any]] = []

    def turns(self) -> list[dict[str, Any]]:
        """Return the turns."""
        return self.messages

    @pydantic.field_validator("messages")
    @classmethod
    def _check_roles(cls, turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for turn in turns:
            if turn.keys() == {"role", "content"} and turn["role"] not in {"user", "assistant", "system", "developer"}:
                raise ValueError(f"a message of the role {turn['role']!r} cannot stand in a history")
        return turns

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        return {"messages": value} if isinstance(value, list) else value
