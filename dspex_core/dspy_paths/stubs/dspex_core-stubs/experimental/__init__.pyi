from dspex_core.dspy_paths.experimental import *
