from dspex_core.dspy_paths.utils.mcp import *
