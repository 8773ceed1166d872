from dspex_core.dspy_paths.callbacks import *
