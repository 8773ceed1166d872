from dspex_core.dspy_paths.utils.annotation import *
