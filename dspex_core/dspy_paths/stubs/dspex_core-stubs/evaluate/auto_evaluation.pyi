from dspex_core.dspy_paths.evaluate.auto_evaluation import *
