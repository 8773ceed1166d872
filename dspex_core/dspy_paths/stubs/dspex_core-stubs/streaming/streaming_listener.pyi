from dspex_core.dspy_paths.streaming.streaming_listener import *
