from dspex_core.dspy_paths.teleprompt.simba import *
