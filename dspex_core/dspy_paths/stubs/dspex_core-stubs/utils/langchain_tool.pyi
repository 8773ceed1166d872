from dspex_core.dspy_paths.utils.langchain_tool import *
