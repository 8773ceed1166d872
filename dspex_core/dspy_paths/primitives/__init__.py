"""DSPy's `dspy.primitives`: examples, predictions and modules. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import submodules
from dspex_core.errors import CodeExecutionError
from dspex_core.errors import InterpreterError as CodeInterpreterError
from dspex_core.example import Completions, Example, Prediction
from dspex_core.interpreter import CodeInterpreter, FinalOutput, PythonInterpreter
from dspex_core.programs import Module
from dspex_core.programs import Module as BaseModule

__all__ = [
    "BaseModule",
    "CodeExecutionError",
    "CodeInterpreter",
    "CodeInterpreterError",
    "Completions",
    "Example",
    "FinalOutput",
    "Module",
    "Prediction",
    "PythonInterpreter",
]

if not TYPE_CHECKING:  # a type checker finds them by itself
    __getattr__ = submodules(__name__)
