from dspex_core.dspy_paths.teleprompt.infer_rules import *
