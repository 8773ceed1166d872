"""Metrics of one field that is a text. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.metrics.comparison import as_text, holds, words
from dspex_core.metrics.fields import FieldMetric, mismatch
from dspex_core.metrics.score import Score
from dspex_core.plain.text import normalized


def fuzzy_match(field: str, *, threshold: float = 0.8) -> FieldMetric:
    """Make a metric that is 1 where the Jaro similarity of the normalized texts is above the threshold."""
    if not 0 <= threshold < 1:
        message = f"fuzzy_match({field!r}) needs 0 <= threshold < 1, not {threshold!r}; for equality use exact_match"
        raise ConfigurationError(message)
    return FieldMetric("fuzzy_match", field, partial(_fuzzy, threshold=threshold), f", threshold={threshold!r}")


def contains(field: str) -> FieldMetric:
    """Make a metric that is 1 where the predicted text has the expected one in it as whole words, both normalized.

    `"no"` is not in `"know"`. An empty expectation is met by an empty text only; of a list, any text will do.
    """
    return FieldMetric("contains", field, _contains)


def f1(field: str) -> FieldMetric:
    """Make a metric of the words that the expected and the predicted text share.

    It is the F1 of SQuAD (Rajpurkar et al. 2016): case, punctuation of any script and English articles do
    not count, repeated words count as often as they occur. Each character is a word in scripts without spaces, such as
    Chinese. The text "A" alone is a choice, not an article. Of a list of expected texts, the best counts.
    """
    return FieldMetric("f1", field, _f1)


def _fuzzy(expected: Any, predicted: Any, *, threshold: float) -> Score:
    with foreign_code():
        from rapidfuzz.distance import Jaro  # not needed to import dspex

        similarity = Jaro.similarity(normalized(as_text(expected)), normalized(as_text(predicted)))
    if similarity > threshold:
        return Score(1.0)
    return Score(0.0, f"{mismatch(expected, predicted)} (similarity {similarity:.2f})")


def _contains(expected: Any, predicted: Any) -> Score:
    wanted, found = normalized(as_text(expected)), normalized(as_text(predicted))
    if holds(found, wanted) if wanted else not found:
        return Score(1.0)
    return Score(0.0, f"should contain {expected!r} but is {predicted!r}")


def _f1(expected: Any, predicted: Any) -> Score:
    wanted, found = Counter(words(as_text(expected))), Counter(words(as_text(predicted)))
    shared, total = (wanted & found).total(), wanted.total() + found.total()
    value = 2 * shared / total if total else 1.0
    return Score(value, "" if value == 1 else mismatch(expected, predicted))
