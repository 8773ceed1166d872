"""DSPy's `dspy.retrievers.retrieve`: a retriever that the settings name. PYTEST_DONT_REWRITE"""

from dspex_core.dspy_paths.not_there_yet import Retrieve

__all__ = ["Retrieve"]
