from dspex_core.dspy_paths.predict.aggregation import *
