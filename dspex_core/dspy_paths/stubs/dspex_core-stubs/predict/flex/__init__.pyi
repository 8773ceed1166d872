from dspex_core.dspy_paths.predict.flex import *
