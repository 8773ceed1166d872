from dspex_core.dspy_paths.utils.asyncify import *
