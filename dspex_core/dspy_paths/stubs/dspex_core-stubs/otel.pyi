from dspex_core.dspy_paths.otel import *
