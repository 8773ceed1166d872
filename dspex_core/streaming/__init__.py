"""Programs that tell what they write and do while they run. PYTEST_DONT_REWRITE"""

from dspex_core.streaming.listener import StreamListener
from dspex_core.streaming.messages import StatusMessage, StatusMessageProvider, StreamResponse
from dspex_core.streaming.streamed import streamify, streaming_response

__all__ = [
    "StatusMessage",
    "StatusMessageProvider",
    "StreamListener",
    "StreamResponse",
    "streamify",
    "streaming_response",
]
