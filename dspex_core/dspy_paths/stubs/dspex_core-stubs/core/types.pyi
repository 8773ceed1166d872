from dspex_core.dspy_paths.core.types import *
