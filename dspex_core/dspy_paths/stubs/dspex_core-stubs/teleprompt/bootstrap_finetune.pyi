from dspex_core.dspy_paths.teleprompt.bootstrap_finetune import *
