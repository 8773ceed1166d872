from dspex_core.dspy_paths.predict.best_of_n import *
