"""DSPy's `dspy.adapters.chat_adapter`: the chat format. PYTEST_DONT_REWRITE"""

from dspex_core.adapters.chat import ChatAdapter

__all__ = ["ChatAdapter"]
