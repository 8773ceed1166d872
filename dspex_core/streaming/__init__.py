"""Streaming of programs: outputs and status messages while they run. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import folder_of, submodules
from dspex_core.streaming.listener import StreamListener
from dspex_core.streaming.messages import StatusMessage, StatusMessageProvider, StreamResponse
from dspex_core.streaming.streamed import apply_sync_streaming, streamify, streaming_response

__all__ = [
    "StatusMessage",
    "StatusMessageProvider",
    "StreamListener",
    "StreamResponse",
    "apply_sync_streaming",
    "streamify",
    "streaming_response",
]

__path__.append(folder_of(__name__))  # DSPy's submodules
if not TYPE_CHECKING:  # type checkers find them by themselves
    __getattr__ = submodules(__name__)
    __getattr__("streamify")  # the module; a later import would replace the function here
    from dspex_core.streaming.streamed import streamify
