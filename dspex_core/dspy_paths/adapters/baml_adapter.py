"""DSPy's `dspy.adapters.baml_adapter`: types written over several lines. PYTEST_DONT_REWRITE"""

from dspex_core.adapters.json import BAMLAdapter

__all__ = ["BAMLAdapter"]
