from dspex_core.dspy_paths.teleprompt.mipro_optimizer_v2 import *
