"""DSPy's `dspy.predict.react`: an agent with tools. PYTEST_DONT_REWRITE"""

from dspex_core.programs.agents.react import ReAct

__all__ = ["ReAct"]
