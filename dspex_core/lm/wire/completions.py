"""The wire format of text completions: one prompt and what follows it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspex_core.errors import LMUnsupportedFeatureError
from dspex_core.lm.wire.base import read_usage
from dspex_core.lm.wire.chat import ChatPieces
from dspex_core.messages import LMOutput, LMResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex_core.messages import Json, LMChunk, LMRequest

PATH = "completions"
EXPECTED = "a text completion"

_MARK = "BEGIN RESPONSE:"  # DSPy's, after which a text model is to answer


def body(request: LMRequest, *, supports_schema: bool) -> Json:  # noqa: ARG001  no such endpoint is held to a schema
    """Return what is sent: the messages as one prompt, without their roles, as DSPy sends them."""
    if request.tools:
        raise _unsupported("functions to call")
    if any(not isinstance(message.content, str) for message in request.messages):
        raise _unsupported("images, sounds or files")
    return {"prompt": "\n\n".join([*(message.text for message in request.messages), _MARK]), **request.config}


def response(data: Json) -> LMResponse:
    """Read a whole reply."""
    outputs = tuple(LMOutput(choice["text"] or "", choice.get("finish_reason")) for choice in data["choices"])
    if not outputs:
        raise ValueError("no choices")
    return LMResponse(outputs, model=data.get("model") or "", **read_usage(data))


def in_pieces(tell: Callable[[LMChunk], None]) -> ChatPieces:
    """Return a reader of one reply that arrives in pieces."""
    return _TextPieces(tell)


class _TextPieces(ChatPieces):
    def read(self, event: Json) -> None:
        """Take in an event, which differs from a chat's in where the text stands."""
        if event.get("choices"):
            choices = [{**choice, "delta": {"content": choice["text"]}} for choice in event["choices"]]
            event = {**event, "choices": choices}
        super().read(event)


def _unsupported(what: str) -> LMUnsupportedFeatureError:
    return LMUnsupportedFeatureError(
        f"a text completion takes no {what}; use an LM with model_type='chat' or 'responses'"
    )
