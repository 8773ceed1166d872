from dspex_core.dspy_paths.predict.program_of_thought import *
