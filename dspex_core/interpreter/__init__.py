"""Safe execution of code that a model wrote. PYTEST_DONT_REWRITE"""

from dspex_core.interpreter.contract import CodeInterpreter, Execution, FinalOutput, SteppedInterpreter, run_code
from dspex_core.interpreter.python import PythonInterpreter

__all__ = ["CodeInterpreter", "Execution", "FinalOutput", "PythonInterpreter", "SteppedInterpreter", "run_code"]
