"""A stream of the program's own in the place of that of `streamify`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class GivenStream:
    """What `context(send_stream=...)` sets: programs send their items to it. Pieces of replies are not sent.

    Args:
        target: Has an async `send`, such as a memory object stream of anyio.
    """

    target: Any

    def replies(self, predictor: Any) -> None:
        """Return no readers: nobody wants the pieces of replies."""

    async def send(self, item: Any) -> None:
        """Emit an item of the program's own."""
        await self.target.send(item)


def given_stream(stream: Any) -> Any:
    """Return a stream as `Settings.stream` has it; one that `streamify` has set stays itself."""
    return stream if stream is None or hasattr(stream, "replies") else GivenStream(stream)
