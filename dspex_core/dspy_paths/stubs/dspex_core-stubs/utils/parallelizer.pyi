from dspex_core.dspy_paths.utils.parallelizer import *
