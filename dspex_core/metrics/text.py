"""Metrics of one field that is a text. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.metrics.comparison import as_text
from dspex_core.metrics.fields import FieldMetric, OutputMetric, mismatch, options_text, shown
from dspex_core.metrics.score import Score
from dspex_core.metrics.words import holds, words
from dspex_core.plain.text import normalized

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_JUDGEMENTS = (["yes"], ["no"], ["noanswer"])  # HotpotQA counts these as right or wrong only


def normalized_match(field: str | None = None, *, expected: str | None = None) -> FieldMetric:
    """Make a metric that is 1 where the words are the expected ones: without case, punctuation and English articles.

    It is SQuAD's exact match (Rajpurkar et al. 2016), with the punctuation of any script. Of a list, any text will do.
    """
    return FieldMetric("normalized_match", field, _same_words, options_text(expected=(expected, None)), expected)


def fuzzy_match(field: str | None = None, *, threshold: float = 0.8, expected: str | None = None) -> FieldMetric:
    """Make a metric that is 1 where the Jaro similarity of the normalized texts is above the threshold."""
    if not 0 <= threshold < 1:
        message = f"fuzzy_match({field!r}) needs 0 <= threshold < 1, not {threshold!r}; for equality use exact_match"
        raise ConfigurationError(message)
    options = f"threshold={threshold!r}" + (f", expected={expected!r}" if expected else "")
    return FieldMetric("fuzzy_match", field, partial(_fuzzy, threshold=threshold), options, expected)


def contains(field: str | None = None, *, whole_words: bool = True, expected: str | None = None) -> FieldMetric:
    """Make a metric that is 1 where the predicted text has the expected one in it, both normalized.

    An empty expectation is met by an empty text only; of a list, any text will do.

    Args:
        field: The field of the prediction; by default the only output that the example has a value for.
        whole_words: Whether the text must stand between other words: `"no"` is not in `"know"`.
        expected: The field of the example, if it has another name.
    """
    options = options_text(whole_words=(whole_words, True), expected=(expected, None))
    return FieldMetric("contains", field, partial(_contains, whole_words=whole_words), options, expected)


def regex_match(
    field: str | None = None,
    pattern: str | None = None,
    *,
    whole: bool = False,
    flags: int = 0,
    expected: str | None = None,
) -> FieldMetric | OutputMetric:
    r"""Make a metric that is 1 where a regular expression is found: `regex_match("phone", r"\+\d{10}")`.

    Args:
        field: The field of the prediction; by default the only one.
        pattern: The expression; by default each example has its own, in the field of the same name.
        whole: Whether it must match the whole text.
        flags: Those of `re`, such as `re.IGNORECASE`.
        expected: The field of the example that has the expression, if it has another name.

    Raises:
        ConfigurationError: The pattern is not a regular expression.
    """
    options = options_text(whole=(whole, False), flags=(int(flags), 0), expected=(expected, None))
    search = partial(_found, whole=whole, flags=int(flags))
    if pattern is None:
        return FieldMetric("regex_match", field, search, options, expected)
    _compiled(pattern, int(flags))
    options = ", ".join(filter(None, [f"pattern={pattern!r}", options]))
    return OutputMetric("regex_match", field, partial(search, pattern), options)


def f1(field: str | None = None, *, expected: str | None = None) -> FieldMetric:
    """Make a metric of the words that the expected and the predicted text share.

    It is the F1 of SQuAD (Rajpurkar et al. 2016): case, punctuation of any script and English articles do
    not count, repeated words count as often as they occur. Each character is a word in scripts without spaces, such as
    Chinese. The text "A" alone is a choice, not an article. Of a list of expected texts, the best counts. `details`
    has the precision and the recall.
    """
    return FieldMetric("f1", field, _f1, options_text(expected=(expected, None)), expected)


def hotpot_f1(field: str | None = None, *, expected: str | None = None) -> FieldMetric:
    """Make HotpotQA's metric (Yang et al. 2018): as `f1`, but `yes`, `no` and `noanswer` are right or wrong only."""
    return FieldMetric("hotpot_f1", field, _hotpot_f1, options_text(expected=(expected, None)), expected)


def _same_words(expected: Any, predicted: Any) -> Score:
    if words(as_text(expected)) == words(as_text(predicted)):
        return Score(1.0)
    return Score(0.0, mismatch(expected, predicted))


def _fuzzy(expected: Any, predicted: Any, *, threshold: float) -> Score:
    with foreign_code():
        from rapidfuzz.distance import Jaro  # not needed to import dspex

        similarity = Jaro.similarity(normalized(as_text(expected)), normalized(as_text(predicted)))
    details = {"similarity": similarity}
    if similarity > threshold:
        return Score(1.0, details=details)
    return Score(0.0, f"{mismatch(expected, predicted)} (similarity {similarity:.2f})", details)


def _contains(expected: Any, predicted: Any, *, whole_words: bool) -> Score:
    wanted, found = normalized(as_text(expected)), normalized(as_text(predicted))
    is_in = holds(found, wanted) if whole_words else wanted in found
    if is_in if wanted else not found:
        return Score(1.0)
    return Score(0.0, f"should contain {shown(expected)} but is {shown(predicted)}")


def _found(pattern: Any, value: Any, *, whole: bool, flags: int) -> Score:
    expression = _compiled(pattern, flags)
    text = as_text(value)
    if expression.fullmatch(text) if whole else expression.search(text):
        return Score(1.0)
    return Score(0.0, f"should match {shown(pattern)} but is {shown(value)}")


def _compiled(pattern: Any, flags: int) -> re.Pattern[str]:
    try:
        if isinstance(pattern, bytes):
            raise TypeError("it is bytes")  # noqa: TRY301  one message for all that is no expression
        return re.compile(pattern, flags)
    except (re.error, TypeError, ValueError) as error:
        raise ConfigurationError(f"regex_match needs a regular expression, not {pattern!r}: {error}") from error


def _f1(expected: Any, predicted: Any) -> Score:
    wanted, found = words(as_text(expected)), words(as_text(predicted))
    return shared_words(wanted, found, lambda: mismatch(expected, predicted))


def _hotpot_f1(expected: Any, predicted: Any) -> Score:
    wanted, found = words(as_text(expected)), words(as_text(predicted))
    if wanted != found and (wanted in _JUDGEMENTS or found in _JUDGEMENTS):
        return Score(0.0, mismatch(expected, predicted))
    return shared_words(wanted, found, lambda: mismatch(expected, predicted))


def shared_words(wanted: Sequence[str], found: Sequence[str], feedback: Callable[[], str]) -> Score:
    """Return the F1 of two lists of words, with precision and recall; two empty ones are the same."""
    shared = (Counter(wanted) & Counter(found)).total()
    return overlap(shared, len(wanted), len(found), feedback)


def overlap(shared: float, wanted: float, found: float, feedback: Callable[[], str]) -> Score:
    """Return the F1 of what is shared by what was wanted and what was found, with precision and recall."""
    value = 2 * shared / (wanted + found) if wanted + found else 1.0
    details = {
        "precision": shared / found if found else float(not wanted),
        "recall": shared / wanted if wanted else float(not found),
    }
    return Score(value, "" if value == 1 else feedback(), details)
