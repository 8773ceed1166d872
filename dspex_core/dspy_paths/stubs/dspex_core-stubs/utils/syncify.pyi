from dspex_core.dspy_paths.utils.syncify import *
