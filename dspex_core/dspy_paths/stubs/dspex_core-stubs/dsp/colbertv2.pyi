from dspex_core.dspy_paths.dsp.colbertv2 import *
