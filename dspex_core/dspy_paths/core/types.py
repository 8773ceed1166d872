"""DSPy's `dspy.core.types`: what is sent to a language model and comes back. PYTEST_DONT_REWRITE"""

from dspex_core.messages import LMOutput, LMRequest, LMResponse

__all__ = ["LMOutput", "LMRequest", "LMResponse"]
