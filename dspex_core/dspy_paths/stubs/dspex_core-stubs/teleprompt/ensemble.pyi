from dspex_core.dspy_paths.teleprompt.ensemble import *
