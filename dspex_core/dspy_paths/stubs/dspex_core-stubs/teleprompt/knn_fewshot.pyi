from dspex_core.dspy_paths.teleprompt.knn_fewshot import *
