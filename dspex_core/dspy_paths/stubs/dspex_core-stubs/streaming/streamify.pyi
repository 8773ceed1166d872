from dspex_core.dspy_paths.streaming.streamify import *
