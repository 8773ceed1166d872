from dspex_core.dspy_paths.core import *
