"""Metrics: how right a prediction is, as a score with feedback. PYTEST_DONT_REWRITE"""

from dspex_core.metrics.fields import exact_match
from dspex_core.metrics.numbers import number_match
from dspex_core.metrics.score import Score
from dspex_core.metrics.structured import field_match, json_match, set_f1, set_precision, set_recall
from dspex_core.metrics.text import contains, f1, fuzzy_match, hotpot_f1, normalized_match, regex_match

__all__ = [
    "Score",
    "contains",
    "exact_match",
    "f1",
    "field_match",
    "fuzzy_match",
    "hotpot_f1",
    "json_match",
    "normalized_match",
    "number_match",
    "regex_match",
    "set_f1",
    "set_precision",
    "set_recall",
]
