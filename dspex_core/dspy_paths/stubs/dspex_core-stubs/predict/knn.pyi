from dspex_core.dspy_paths.predict.knn import *
