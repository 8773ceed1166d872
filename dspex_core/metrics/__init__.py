"""Metrics: how right a prediction is, as a score with feedback. PYTEST_DONT_REWRITE"""

from dspex_core.metrics.metrics import Score, contains, exact_match, f1, field_match, fuzzy_match

__all__ = ["Score", "contains", "exact_match", "f1", "field_match", "fuzzy_match"]
