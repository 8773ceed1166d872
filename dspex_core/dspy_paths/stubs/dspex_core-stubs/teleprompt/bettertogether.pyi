from dspex_core.dspy_paths.teleprompt.bettertogether import *
