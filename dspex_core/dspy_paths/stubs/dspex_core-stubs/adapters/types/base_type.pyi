from dspex_core.dspy_paths.adapters.types.base_type import *
