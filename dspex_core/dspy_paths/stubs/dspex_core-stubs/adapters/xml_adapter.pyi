from dspex_core.dspy_paths.adapters.xml_adapter import *
