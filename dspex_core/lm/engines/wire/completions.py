"""The wire format of text completions: one prompt and what follows it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspex_core.errors import LMUnsupportedFeatureError
from dspex_core.lm.engines.wire.chat import in_pieces, response

if TYPE_CHECKING:
    from dspex_core.messages import Json, LMRequest

__all__ = ["EXPECTED", "PATH", "body", "in_pieces", "response"]  # replies are read like a chat's

PATH = "completions"
EXPECTED = "a text completion"

_MARK = "BEGIN RESPONSE:"  # DSPy's separator, after which a text model answers


def body(request: LMRequest, *, supports_schema: bool) -> Json:  # noqa: ARG001  these endpoints take no schema
    """Return the request body: the messages as one prompt, without their roles, as DSPy sends them."""
    if request.tools:
        raise _unsupported("functions to call")
    if any(not isinstance(message.content, str) for message in request.messages):
        raise _unsupported("images, sounds or files")
    return {"prompt": "\n\n".join([*(message.text for message in request.messages), _MARK]), **request.config}


def _unsupported(what: str) -> LMUnsupportedFeatureError:
    return LMUnsupportedFeatureError(
        f"a text completion takes no {what}; use an LM with model_type='chat' or 'responses'"
    )
