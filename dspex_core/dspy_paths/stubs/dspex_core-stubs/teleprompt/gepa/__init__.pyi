from dspex_core.dspy_paths.teleprompt.gepa import *
