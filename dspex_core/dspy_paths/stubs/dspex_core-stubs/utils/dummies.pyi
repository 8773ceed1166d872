from dspex_core.dspy_paths.utils.dummies import *
