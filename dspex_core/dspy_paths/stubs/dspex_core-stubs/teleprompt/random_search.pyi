from dspex_core.dspy_paths.teleprompt.random_search import *
