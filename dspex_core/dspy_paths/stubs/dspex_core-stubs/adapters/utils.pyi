from dspex_core.dspy_paths.adapters.utils import *
