"""DSPy's `dspy.clients.lm`: the client of language models. PYTEST_DONT_REWRITE"""

from dspex_core.lm.client import LM

__all__ = ["LM"]
