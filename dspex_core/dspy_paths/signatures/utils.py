"""DSPy's `dspy.signatures.utils`: which kind a field is. PYTEST_DONT_REWRITE"""

from dspex_core.adapters.dspy_forms import get_dspy_field_type

__all__ = ["get_dspy_field_type"]
