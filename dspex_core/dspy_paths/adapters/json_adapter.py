"""DSPy's `dspy.adapters.json_adapter`: the JSON format. PYTEST_DONT_REWRITE"""

from dspex_core.adapters.json import JSONAdapter

__all__ = ["JSONAdapter"]
