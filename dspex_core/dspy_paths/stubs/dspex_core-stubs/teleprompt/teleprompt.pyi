from dspex_core.dspy_paths.teleprompt.teleprompt import *
