"""DSPy's `dspy.primitives.python_interpreter`: the interpreter of Python. PYTEST_DONT_REWRITE"""

from dspex_core.errors import CodeExecutionError
from dspex_core.errors import InterpreterError as CodeInterpreterError
from dspex_core.interpreter import FinalOutput, PythonInterpreter

__all__ = ["CodeExecutionError", "CodeInterpreterError", "FinalOutput", "PythonInterpreter"]
