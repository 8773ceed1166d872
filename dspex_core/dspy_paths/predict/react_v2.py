"""DSPy's `dspy.predict.react_v2`. PYTEST_DONT_REWRITE"""

from dspex_core.programs.agents.react_v2 import ReActV2

__all__ = ["ReActV2"]
