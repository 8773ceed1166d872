from dspex_core.dspy_paths.utils.magicattr import *
