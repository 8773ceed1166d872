"""DSPy's `dspy.teleprompt.random_search`: the best of random sets of demos. PYTEST_DONT_REWRITE"""

from dspex_core.optimizers import BootstrapFewShotWithRandomSearch

__all__ = ["BootstrapFewShotWithRandomSearch"]
