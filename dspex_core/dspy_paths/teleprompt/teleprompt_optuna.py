"""DSPy's `dspy.teleprompt.teleprompt_optuna`: demos, searched with Optuna. PYTEST_DONT_REWRITE"""

from dspex_core.dspy_paths.not_there_yet import BootstrapFewShotWithOptuna

__all__ = ["BootstrapFewShotWithOptuna"]
