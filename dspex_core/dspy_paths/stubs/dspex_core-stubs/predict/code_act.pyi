from dspex_core.dspy_paths.predict.code_act import *
