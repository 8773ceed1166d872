from dspex_core.dspy_paths.utils.usage_tracker import *
