from dspex_core.dspy_paths.predict.react_v2 import *
