from dspex_core.dspy_paths.predict.react import *
