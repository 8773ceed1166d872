from dspex_core.dspy_paths.teleprompt.copro_optimizer import *
