from dspex_core.dspy_paths.predict.rlm import *
