from dspex_core.dspy_paths.utils.unbatchify import *
