"""DSPy's `dspy.teleprompt.teleprompt_optuna`: demos, searched with Optuna. PYTEST_DONT_REWRITE"""

from dspex_core.optimizers.bootstrap_optuna import BootstrapFewShotWithOptuna

__all__ = ["BootstrapFewShotWithOptuna"]
