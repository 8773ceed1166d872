from dspex_core.dspy_paths.teleprompt.bootstrap_trace import *
