from dspex_core.dspy_paths.adapters.two_step_adapter import *
