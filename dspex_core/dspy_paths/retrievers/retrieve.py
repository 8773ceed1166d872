"""DSPy's `dspy.retrievers.retrieve`: the retriever that the settings name. PYTEST_DONT_REWRITE"""

from dspex_core.programs.retrieve import Retrieve

__all__ = ["Retrieve"]
