"""The refusals in a stream of LiteLLM's, which leaves them out. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from dspex_core.errors.foreign_code import foreign_code

with foreign_code():
    import openai  # comes with LiteLLM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dspex_core.messages import Json


class Refusals:
    """Notes the refusals in a provider's stream, which LiteLLM reads piece by piece.

    Args:
        reply: LiteLLM's stream. Only one from OpenAI's client has refusals that get lost; any other is left as it is,
            since LiteLLM reads those of other providers through attributes and methods of their own.
    """

    def __init__(self, reply: Any) -> None:
        self._events: list[Json] = []
        source = getattr(reply, "completion_stream", None)
        if isinstance(source, openai.AsyncStream):
            reply.completion_stream = _AsyncSource(source, self)
        elif isinstance(source, openai.Stream):
            reply.completion_stream = _Source(source, self)

    def note(self, piece: Any) -> None:
        """Note the refusals in a piece."""
        for choice in getattr(piece, "choices", None) or ():
            words = getattr(getattr(choice, "delta", None), "refusal", None)
            if isinstance(words, str) and words:
                self._events.append({"choices": [{"index": choice.index, "delta": {"refusal": words}}]})

    def events(self) -> Iterator[Json]:
        """Yield what LiteLLM has left out, as events of the wire format."""
        yield from self._events


class _Passing:
    """Passes on all that LiteLLM asks of a stream."""

    def __init__(self, source: Any, refusals: Refusals) -> None:
        self._source, self._refusals = source, refusals

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def _noted(self, piece: Any) -> Any:
        self._refusals.note(piece)
        return piece


class _Source(_Passing):
    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return self._noted(next(self._source))


class _AsyncSource(_Passing):
    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return self._noted(await anext(self._source))
