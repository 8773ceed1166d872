"""DSPy's `dspy.utils.dummies`: scripted language models. PYTEST_DONT_REWRITE"""

from dspex_core.lm.scripted import DummyLM

__all__ = ["DummyLM"]
