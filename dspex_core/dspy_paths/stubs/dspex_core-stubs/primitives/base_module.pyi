from dspex_core.dspy_paths.primitives.base_module import *
