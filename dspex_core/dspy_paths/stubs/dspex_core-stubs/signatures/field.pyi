from dspex_core.dspy_paths.signatures.field import *
