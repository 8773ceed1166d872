from dspex_core.dspy_paths.utils.saving import *
