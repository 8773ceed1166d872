from dspex_core.dspy_paths.clients.utils_finetune import *
