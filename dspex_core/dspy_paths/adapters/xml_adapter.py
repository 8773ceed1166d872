"""DSPy's `dspy.adapters.xml_adapter`: the XML format. PYTEST_DONT_REWRITE"""

from dspex_core.adapters.xml import XMLAdapter

__all__ = ["XMLAdapter"]
