from dspex_core.dspy_paths.embedders import *
