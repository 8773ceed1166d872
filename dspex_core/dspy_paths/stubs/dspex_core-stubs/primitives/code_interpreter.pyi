from dspex_core.dspy_paths.primitives.code_interpreter import *
