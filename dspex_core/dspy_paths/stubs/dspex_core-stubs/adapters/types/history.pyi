from dspex_core.dspy_paths.adapters.types.history import *
