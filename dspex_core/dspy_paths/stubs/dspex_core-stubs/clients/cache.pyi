from dspex_core.dspy_paths.clients.cache import *
