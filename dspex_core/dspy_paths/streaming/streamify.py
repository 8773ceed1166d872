"""DSPy's `dspy.streaming.streamify`: programs that stream. PYTEST_DONT_REWRITE"""

from dspex_core.streaming.streamed import streamify, streaming_response

__all__ = ["streamify", "streaming_response"]
