"""DSPy's `dspy.clients.provider`: training of weights. PYTEST_DONT_REWRITE"""

from dspex_core.dspy_paths.not_there_yet import Provider, TrainingJob

__all__ = ["Provider", "TrainingJob"]
