"""DSPy's `dspy.primitives.code_interpreter`: the contract of an interpreter. PYTEST_DONT_REWRITE"""

from dspex_core.errors import CodeExecutionError
from dspex_core.errors import InterpreterError as CodeInterpreterError
from dspex_core.interpreter import CodeInterpreter, FinalOutput

__all__ = ["CodeExecutionError", "CodeInterpreter", "CodeInterpreterError", "FinalOutput"]
