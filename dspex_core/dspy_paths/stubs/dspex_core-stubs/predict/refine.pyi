from dspex_core.dspy_paths.predict.refine import *
