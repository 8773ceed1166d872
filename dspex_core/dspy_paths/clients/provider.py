"""DSPy's `dspy.clients.provider`: training of weights. PYTEST_DONT_REWRITE"""

from dspex_core.lm.training import Provider, ReinforceJob, TrainingJob

__all__ = ["Provider", "ReinforceJob", "TrainingJob"]
