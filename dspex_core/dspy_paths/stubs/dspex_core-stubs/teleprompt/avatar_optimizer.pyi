from dspex_core.dspy_paths.teleprompt.avatar_optimizer import *
