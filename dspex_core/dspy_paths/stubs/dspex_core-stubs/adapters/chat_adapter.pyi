from dspex_core.dspy_paths.adapters.chat_adapter import *
