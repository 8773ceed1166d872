from dspex_core.dspy_paths.evaluate.metrics import *
