from dspex_core.dspy_paths.primitives.example import *
