from dspex_core.dspy_paths.dsp.utils.dpr import *
