from dspex_core.dspy_paths.adapters.json_adapter import *
