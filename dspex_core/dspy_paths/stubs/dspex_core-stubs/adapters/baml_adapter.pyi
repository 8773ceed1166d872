from dspex_core.dspy_paths.adapters.baml_adapter import *
