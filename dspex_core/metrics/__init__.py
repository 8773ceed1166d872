"""Metrics: how right a prediction is, as a score with feedback. PYTEST_DONT_REWRITE"""

from dspex_core.metrics.fields import exact_match, field_match
from dspex_core.metrics.score import Score
from dspex_core.metrics.text import contains, f1, fuzzy_match

__all__ = ["Score", "contains", "exact_match", "f1", "field_match", "fuzzy_match"]
