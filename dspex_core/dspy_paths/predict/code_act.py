"""DSPy's `dspy.predict.code_act`: an agent that acts in code. PYTEST_DONT_REWRITE"""

from dspex_core.programs.code.code_act import CodeAct

__all__ = ["CodeAct"]
