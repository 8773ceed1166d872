from dspex_core.dspy_paths.clients.base_lm import *
