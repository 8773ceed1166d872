from dspex_core.dspy_paths.propose.grounded_proposer import *
