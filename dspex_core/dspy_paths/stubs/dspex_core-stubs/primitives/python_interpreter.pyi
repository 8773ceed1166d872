from dspex_core.dspy_paths.primitives.python_interpreter import *
