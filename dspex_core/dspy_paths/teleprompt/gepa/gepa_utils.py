"""DSPy's `dspy.teleprompt.gepa.gepa_utils`: scores with feedback. PYTEST_DONT_REWRITE"""

from dspex_core.example import Prediction as ScoreWithFeedback

__all__ = ["ScoreWithFeedback"]
