from dspex_core.dspy_paths.evaluate import *
