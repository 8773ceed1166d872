"""DSPy's `dspy.utils.magicattr`: attributes by paths. PYTEST_DONT_REWRITE"""

from dspex_core.interop.dspy_tools.attribute_paths import delete, get, lookup, set  # noqa: A004  DSPy's name

__all__ = ["delete", "get", "lookup", "set"]
