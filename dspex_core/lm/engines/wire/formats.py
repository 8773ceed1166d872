"""The wire format of each kind of endpoint. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dspex_core.lm.engines.wire.base import ModelType, WireFormat


def wire_format(model_type: ModelType) -> WireFormat:
    """Return the format of a kind of endpoint."""
    # Only the one in use is loaded.
    if model_type == "text":
        from dspex_core.lm.engines.wire import completions

        return completions
    if model_type == "responses":
        from dspex_core.lm.engines.wire import responses

        return responses
    from dspex_core.lm.engines.wire import chat

    return chat
