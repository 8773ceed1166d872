from dspex_core.dspy_paths.teleprompt.vanilla import *
