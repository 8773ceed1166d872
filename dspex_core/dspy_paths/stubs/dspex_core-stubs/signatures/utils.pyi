from dspex_core.dspy_paths.signatures.utils import *
