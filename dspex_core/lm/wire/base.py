"""What the wire formats have in common: a request's body, and a reply read whole or in pieces. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from dspex_core.messages import LMChunk, LMResponse, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex_core.messages import Json, LMRequest

ModelType = Literal["chat", "text", "responses"]


class RefusedError(Exception):
    """An event of a stream that says that the call failed; `said` explains it in the provider's form."""

    def __init__(self, said: Json) -> None:
        self.said = said
        super().__init__(said)


class ReplyInPieces(Protocol):
    """A reply that is read event by event."""

    def read(self, event: Json) -> None:
        """Take in an event, and tell what text or reasoning it brings.

        Raises:
            RefusedError: The provider says that the call failed.
            KeyError, TypeError, AttributeError, ValueError: The event does not have the wire format.
        """

    def end(self) -> None:
        """Take note that the provider marked the end of the stream."""

    def whole(self) -> LMResponse | None:
        """Return the response, or `None` if its end has not been read."""


class WireFormat(Protocol):
    """One kind of endpoint. Each module of this package that is named after one is such a format."""

    @property
    def PATH(self) -> str:  # noqa: N802  a constant of each module
        """Where the endpoint is below the provider's base URL."""

    @property
    def EXPECTED(self) -> str:  # noqa: N802  as above
        """What a reply is, for messages."""

    def body(self, request: LMRequest, *, supports_schema: bool) -> Json:
        """Return what is sent, but for the model's name and for whether the reply is to come in pieces.

        Raises:
            LMUnsupportedFeatureError: The request holds what this kind of endpoint cannot take.
        """

    def response(self, data: Json) -> LMResponse:
        """Read a whole reply.

        Raises:
            KeyError, TypeError, AttributeError, ValueError: It does not have the wire format.
        """

    def in_pieces(self, tell: Callable[[LMChunk], None]) -> ReplyInPieces:
        """Return a reader of one reply that arrives in pieces; `tell` is given each."""


def read_usage(data: Json) -> dict[str, Any]:
    """Return the arguments of a response that say what it took; some gateways say the cost, too."""
    usage = data.get("usage") or {}
    tokens = Usage(usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0)
    return {"usage": tokens, "cost": usage.get("cost")}
