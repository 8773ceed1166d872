from dspex_core.dspy_paths.retrievers.retrieve import *
