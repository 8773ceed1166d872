"""DSPy's `dspy.utils.dummies`: LMs, vectors and retrievers for tests. PYTEST_DONT_REWRITE"""

from dspex_core.lm.dummy_vectors import DummyVectorizer
from dspex_core.lm.scripted import DummyLM
from dspex_core.programs.retrieve import dummy_rm

__all__ = ["DummyLM", "DummyVectorizer", "dummy_rm"]
