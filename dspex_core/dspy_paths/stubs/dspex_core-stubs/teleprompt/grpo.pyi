from dspex_core.dspy_paths.teleprompt.grpo import *
