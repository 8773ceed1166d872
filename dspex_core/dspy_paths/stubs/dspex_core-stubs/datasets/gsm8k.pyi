from dspex_core.dspy_paths.datasets.gsm8k import *
