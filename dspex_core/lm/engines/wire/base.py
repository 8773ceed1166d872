"""The contract of wire formats: a request's body, and a reply read whole or in pieces. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, Protocol

from dspex_core.messages import LMChunk, LMResponse, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex_core.messages import Json, LMRequest

ModelType = Literal["chat", "text", "responses"]

# Raised while reading a malformed reply: a server may send any JSON.
MISREAD = (KeyError, TypeError, AttributeError, ValueError, RecursionError, OverflowError)


class RefusedError(Exception):
    """A reply, or an event, that reports a failed call; `said` is the provider's explanation."""

    def __init__(self, said: Any) -> None:
        self.said = said
        super().__init__(said)


class DeclinedError(Exception):
    """A reply in which the model refuses to answer, in its own `words`."""

    def __init__(self, words: str) -> None:
        self.words = words
        super().__init__(words)


class ReplyInPieces(Protocol):
    """A reply that is read event by event."""

    def read(self, event: Any) -> None:
        """Process an event, and emit the text or reasoning in it.

        Raises:
            RefusedError: The provider reports that the call failed.
            KeyError, TypeError, AttributeError, ValueError, RecursionError, OverflowError: The event does not have
                the wire format.
        """

    def end(self) -> None:
        """Process the provider's end-of-stream mark."""

    def whole(self) -> LMResponse | None:
        """Return the response, or `None` if its end has not been read.

        Raises:
            DeclinedError: The model refuses to answer.
            KeyError, TypeError, AttributeError, ValueError, RecursionError, OverflowError: As above.
        """


class WireFormat(Protocol):
    """A kind of endpoint. Each module of this package named after an endpoint implements it."""

    @property
    def PATH(self) -> str:  # noqa: N802  a constant of each module
        """The endpoint's path below the provider's base URL."""

    @property
    def EXPECTED(self) -> str:  # noqa: N802  as above
        """The name of a reply, for error messages."""

    def body(self, request: LMRequest, *, supports_schema: bool) -> Json:
        """Return the request body, without the model's name and the `stream` flag.

        Raises:
            LMUnsupportedFeatureError: The request holds something that this kind of endpoint does not support.
        """

    def response(self, data: Any) -> LMResponse:
        """Read a whole reply.

        Raises:
            RefusedError: The provider reports that the call failed.
            DeclinedError: The model refuses to answer.
            KeyError, TypeError, AttributeError, ValueError, RecursionError, OverflowError: The reply does not have
                the wire format.
        """

    def in_pieces(self, emit: Callable[[LMChunk], None]) -> ReplyInPieces:
        """Return a reader of one streamed reply; `emit` receives each piece."""


def says_error(data: Json) -> bool:
    """Whether a reply, or an event, holds an error, in any of the places that servers use."""
    error = data.get("error") or data.get("errors")
    if isinstance(error, dict):
        return any(error.values())  # some send an empty error with each reply
    if error or data.get("object") == "error" or data.get("type") == "error":
        return True
    outcome = data.get("base_resp")  # MiniMax
    if isinstance(outcome, dict) and outcome.get("status_code"):
        return True
    is_reply = any(data.get(name) for name in ("choices", "output", "data", "usage"))
    return not is_reply and any(isinstance(data.get(name), str) for name in ("message", "detail", "msg"))


def read_usage(data: Json) -> dict[str, Any]:
    """Return a response's usage, and its cost where a gateway reports it, as keyword arguments."""
    usage = data.get("usage")
    if not isinstance(usage, dict):
        return {}
    prompt = _tokens(usage.get("prompt_tokens")) or _tokens(usage.get("input_tokens"))
    completion = _tokens(usage.get("completion_tokens")) or _tokens(usage.get("output_tokens"))
    total = _tokens(usage.get("total_tokens"))
    if not prompt and completion:
        prompt = max(0, total - completion)
    return {"usage": Usage(prompt, completion or max(0, total - prompt)), "cost": _number(usage.get("cost"))}


def read_name(value: Any) -> str:
    """Return a name, such as a model's; a value that is not a text becomes an empty one."""
    return value if isinstance(value, str) else ""


def _tokens(value: Any) -> int:
    if type(value) is int:  # nearly always
        return max(0, value)
    return max(0, int(_number(value) or 0))


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
