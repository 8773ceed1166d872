from dspex_core.dspy_paths.predict.parallel import *
