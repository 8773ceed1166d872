"""The part of a prompt that no input changes. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dspex_core.messages import Conversation, Message, ResponseSchema, SharedTurns

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class CompiledPrompt:
    """The part of a prompt that depends only on the predictor's state.

    Args:
        system: The instructions and the fields.
        demos: A user and an assistant message for each demo; nothing for a demo that lacks
            every input or every output.
        response_schema: The schema for the reply, if the adapter uses one.
    """

    system: Message
    demos: tuple[tuple[Message, ...], ...]
    response_schema: ResponseSchema | None
    _prefix: SharedTurns = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        turns = SharedTurns((self.system, *(message for demo in self.demos for message in demo)))
        object.__setattr__(self, "_prefix", turns)

    def messages(
        self, user: Message, chosen: Sequence[int] | None = None, earlier: Sequence[Message] = ()
    ) -> Sequence[Message]:
        """Return the whole conversation: with all demos, or those at the indices `chosen` in that order.

        Args:
            user: The last message.
            chosen: Which demos to show.
            earlier: The turns before the last message.
        """
        if chosen is None:
            return Conversation(self._prefix, (*earlier, user))
        return (self.system, *(message for index in chosen for message in self.demos[index]), *earlier, user)
