from dspex_core.dspy_paths.utils.callback import *
