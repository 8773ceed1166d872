"""DSPy's `dspy.teleprompt.infer_rules`: rules. PYTEST_DONT_REWRITE"""

from dspex_core.dspy_paths.not_there_yet import InferRules

__all__ = ["InferRules"]
