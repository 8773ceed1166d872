"""DSPy's `dspy.signatures.field`: the fields of a signature. PYTEST_DONT_REWRITE"""

from dspex_core.signatures.signature import InputField, OutputField

__all__ = ["InputField", "OutputField"]
