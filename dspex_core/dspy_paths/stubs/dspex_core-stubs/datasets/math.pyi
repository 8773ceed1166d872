from dspex_core.dspy_paths.datasets.math import *
