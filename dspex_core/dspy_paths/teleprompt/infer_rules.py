"""DSPy's `dspy.teleprompt.infer_rules`: rules. PYTEST_DONT_REWRITE"""

from dspex_core.optimizers.infer_rules import InferRules

__all__ = ["InferRules"]
