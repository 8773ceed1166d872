from dspex_core.dspy_paths.datasets.hotpotqa import *
