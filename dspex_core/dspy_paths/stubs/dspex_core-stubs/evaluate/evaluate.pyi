from dspex_core.dspy_paths.evaluate.evaluate import *
