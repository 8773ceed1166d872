from dspex_core.dspy_paths.predict.predict import *
