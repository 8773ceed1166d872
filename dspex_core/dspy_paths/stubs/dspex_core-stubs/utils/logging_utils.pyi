from dspex_core.dspy_paths.utils.logging_utils import *
