"""DSPy's `dspy.teleprompt.gepa.gepa`: instructions by reflection. PYTEST_DONT_REWRITE"""

from dspex_core.optimizers.gepa.feedback import FeedbackMetric as GEPAFeedbackMetric
from dspex_core.optimizers.gepa.optimizer import GEPA
from dspex_core.optimizers.gepa.result import GEPAResult as DspyGEPAResult

__all__ = ["GEPA", "DspyGEPAResult", "GEPAFeedbackMetric"]
