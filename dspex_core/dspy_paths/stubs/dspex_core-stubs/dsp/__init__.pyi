from dspex_core.dspy_paths.dsp import *
