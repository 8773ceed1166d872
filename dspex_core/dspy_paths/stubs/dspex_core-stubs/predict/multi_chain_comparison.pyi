from dspex_core.dspy_paths.predict.multi_chain_comparison import *
