from dspex_core.dspy_paths.clients.provider import *
