"""DSPy's `dspy.teleprompt.bootstrap_finetune`: weights. PYTEST_DONT_REWRITE"""

from dspex_core.optimizers.finetune.optimizer import BootstrapFinetune

__all__ = ["BootstrapFinetune"]
