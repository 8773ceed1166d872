from dspex_core.dspy_paths.propose import *
