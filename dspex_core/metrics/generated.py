"""Metrics of longer texts that a model wrote: ROUGE-L, BLEU, chrF. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import importlib.util
from functools import partial
from typing import Any

from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.metrics.comparison import as_text
from dspex_core.metrics.fields import FieldMetric, mismatch, options_text
from dspex_core.metrics.score import Score
from dspex_core.metrics.text import overlap
from dspex_core.metrics.words import tokens

_TOKENIZERS = ("13a", "intl", "char", "zh", "none")
_LOW = 0.5  # a score below it has feedback


def rouge_l(field: str | None = None, *, expected: str | None = None) -> FieldMetric:
    """Make a metric of the longest sequence of words that both texts have, as F1 (Lin 2004).

    Words are runs of letters and digits of any script, without case and without stemming; each character is a word in
    scripts without spaces. Of a list of expected texts, the best counts. `details` has the precision and the recall.
    """
    return FieldMetric("rouge_l", field, _rouge_l, options_text(expected=(expected, None)), expected)


def bleu(
    field: str | None = None, *, tokenize: str = "13a", lowercase: bool = False, expected: str | None = None
) -> FieldMetric:
    """Make a metric of shared runs of one to four words: sentence BLEU by sacrebleu (Papineni et al. 2002), of 1.

    Short texts are judged by the longest runs that they have, and runs that are not found are smoothed exponentially. A
    list of expected texts are several references. It needs the extra `metrics`.

    Args:
        field: The field of the prediction; by default the only output that the example has a value for.
        tokenize: One of sacrebleu's tokenizers: `"13a"`, `"intl"`, `"zh"` for Chinese, `"char"`, `"none"`.
        lowercase: Whether case does not count.
        expected: The field of the example, if it has another name.

    Raises:
        ConfigurationError: sacrebleu is not installed, or does not have the tokenizer.
    """
    _check_installed("bleu")
    if tokenize not in _TOKENIZERS:
        raise ConfigurationError(f"bleu({field!r}) needs tokenize from {', '.join(_TOKENIZERS)}, not {tokenize!r}")
    options = options_text(tokenize=(tokenize, "13a"), lowercase=(lowercase, False), expected=(expected, None))
    judge = partial(_bleu, tokenize=tokenize, lowercase=lowercase)
    return FieldMetric("bleu", field, judge, options, expected, takes_several=True)


def chrf(field: str | None = None, *, word_order: int = 0, expected: str | None = None) -> FieldMetric:
    """Make a metric of shared runs of characters: sentence chrF by sacrebleu (Popovic 2015), of 1.

    Args:
        field: The field of the prediction; by default the only output that the example has a value for.
        word_order: The longest run of words that counts, too: 2 is chrF++.
        expected: The field of the example, if it has another name.

    Raises:
        ConfigurationError: sacrebleu is not installed, or `word_order` is negative.
    """
    _check_installed("chrf")
    if word_order < 0:
        raise ConfigurationError(f"chrf({field!r}) needs word_order >= 0, not {word_order!r}")
    options = options_text(word_order=(word_order, 0), expected=(expected, None))
    return FieldMetric("chrf", field, partial(_chrf, word_order=word_order), options, expected, takes_several=True)


def _rouge_l(expected: Any, predicted: Any) -> Score:
    wanted, found = tokens(as_text(expected)), tokens(as_text(predicted))
    with foreign_code():
        from rapidfuzz.distance import LCSseq  # not needed to import dspex

        shared = LCSseq.similarity(wanted, found)
    return overlap(shared, len(wanted), len(found), lambda: mismatch(expected, predicted))


def _bleu(expected: Any, predicted: Any, *, tokenize: str, lowercase: bool) -> Score:
    text, references = as_text(predicted), _references(expected)
    with foreign_code():
        from sacrebleu import sentence_bleu  # optional

        found = sentence_bleu(text, references, tokenize=tokenize, lowercase=lowercase, use_effective_order=True)
    return _of_hundred(found.score, text, references)


def _chrf(expected: Any, predicted: Any, *, word_order: int) -> Score:
    text, references = as_text(predicted), _references(expected)
    with foreign_code():
        from sacrebleu import sentence_chrf  # optional

        found = sentence_chrf(text, references, word_order=word_order)
    return _of_hundred(found.score, text, references)


def _of_hundred(score: float, text: str, references: list[str]) -> Score:
    value = 1.0 if text in references else min(1.0, max(0.0, score / 100))  # an empty text is as an empty one, too
    if value >= _LOW:
        return Score(value)
    return Score(value, mismatch(references[0] if len(references) == 1 else references, text))


def _references(expected: Any) -> list[str]:
    several = list(expected) if isinstance(expected, list | tuple | set | frozenset) else [expected]
    return sorted(map(as_text, several)) or [""]


def _check_installed(metric: str) -> None:
    if importlib.util.find_spec("sacrebleu") is None:
        raise ConfigurationError(
            f"{metric} needs sacrebleu, which is not installed: pip install 'pytest-dspex[metrics]'"
        )
