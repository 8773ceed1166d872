"""DSPy's `dspy.predict.chain_of_thought`: reasoning before the answer. PYTEST_DONT_REWRITE"""

from dspex_core.programs import ChainOfThought

__all__ = ["ChainOfThought"]
