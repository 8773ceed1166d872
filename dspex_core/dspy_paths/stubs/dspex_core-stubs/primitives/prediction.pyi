from dspex_core.dspy_paths.primitives.prediction import *
