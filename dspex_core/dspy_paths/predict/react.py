"""DSPy's `dspy.predict.react`: an agent with tools. PYTEST_DONT_REWRITE"""

from dspex_core.programs.react import ReAct

__all__ = ["ReAct"]
