"""DSPy's `dspy.teleprompt.knn_fewshot`: the nearest demos. PYTEST_DONT_REWRITE"""

from dspex_core.optimizers import KNNFewShot

__all__ = ["KNNFewShot"]
