"""DSPy's `dspy.clients.utils_finetune`: forms of training data. PYTEST_DONT_REWRITE"""

from dspex_core.lm.training import TrainDataFormat, TrainingStatus

__all__ = ["TrainDataFormat", "TrainingStatus"]
