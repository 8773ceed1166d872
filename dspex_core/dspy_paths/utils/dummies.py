"""DSPy's `dspy.utils.dummies`: scripted language models, and vectors without one. PYTEST_DONT_REWRITE"""

from dspex_core.lm.dummy_vectors import DummyVectorizer
from dspex_core.lm.scripted import DummyLM

__all__ = ["DummyLM", "DummyVectorizer"]
