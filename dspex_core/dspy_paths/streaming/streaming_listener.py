"""DSPy's `dspy.streaming.streaming_listener`: hearing one output. PYTEST_DONT_REWRITE"""

from dspex_core.streaming.listener import StreamListener

__all__ = ["StreamListener"]
