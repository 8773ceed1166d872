"""DSPy's `dspy.streaming.streamify`: programs that stream. PYTEST_DONT_REWRITE"""

from dspex_core.streaming.streamed import apply_sync_streaming, streamify, streaming_response

__all__ = ["apply_sync_streaming", "streamify", "streaming_response"]
