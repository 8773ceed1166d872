from dspex_core.dspy_paths.predict.avatar import *
