from dspex_core.dspy_paths.predict.chain_of_thought import *
