from dspex_core.dspy_paths.teleprompt.gepa.gepa_utils import *
