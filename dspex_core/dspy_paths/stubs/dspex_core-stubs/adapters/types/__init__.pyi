from dspex_core.dspy_paths.adapters.types import *
