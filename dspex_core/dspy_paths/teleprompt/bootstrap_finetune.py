"""DSPy's `dspy.teleprompt.bootstrap_finetune`: weights. PYTEST_DONT_REWRITE"""

from dspex_core.dspy_paths.not_there_yet import BootstrapFinetune

__all__ = ["BootstrapFinetune"]
