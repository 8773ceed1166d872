from dspex_core.dspy_paths.utils.inspect_history import *
