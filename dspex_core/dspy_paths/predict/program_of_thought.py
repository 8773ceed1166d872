"""DSPy's `dspy.predict.program_of_thought`: an answer worked out in code. PYTEST_DONT_REWRITE"""

from dspex_core.programs.code.program_of_thought import ProgramOfThought

__all__ = ["ProgramOfThought"]
