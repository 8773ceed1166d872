"""DSPy's `dspy.utils.inspect_history`: the printout of a history. PYTEST_DONT_REWRITE"""

from dspex_core.lm.history import pretty_print_history

__all__ = ["pretty_print_history"]
