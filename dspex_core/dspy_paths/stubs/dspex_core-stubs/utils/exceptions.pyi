from dspex_core.dspy_paths.utils.exceptions import *
