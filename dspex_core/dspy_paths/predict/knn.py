"""DSPy's `dspy.predict.knn`: the nearest examples. PYTEST_DONT_REWRITE"""

from dspex_core.programs.demos.knn import KNN

__all__ = ["KNN"]
