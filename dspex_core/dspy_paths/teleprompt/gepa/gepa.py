"""DSPy's `dspy.teleprompt.gepa.gepa`: instructions by reflection. PYTEST_DONT_REWRITE"""

from dspex_core.dspy_paths.not_there_yet import GEPA

__all__ = ["GEPA"]
