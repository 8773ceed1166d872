from dspex_core.dspy_paths.utils.callback_context import *
