"""DSPy's metrics of short answers: by words, after articles, case and punctuation are gone. PYTEST_DONT_REWRITE

Sources: the normalization and F1 are those of SQuAD (Rajpurkar et al. 2016) and HotpotQA (Yang et al. 2018).
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.errors.shown import value_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_JUDGEMENTS = frozenset({"yes", "no", "noanswer"})  # HotpotQA counts these as right or wrong only


def answer_exact_match(example: Any, pred: Any, trace: Any = None, frac: float = 1.0) -> bool:  # noqa: ARG001  a metric
    """Whether `pred.answer` is one of the answers of the example, or has an F1 of at least `frac` with one.

    Raises:
        ConfigurationError: `example.answer` is neither a text nor a list of texts.
    """
    answers = _answers(example)
    return EM(pred.answer, answers) if frac >= 1.0 else F1(pred.answer, answers) >= frac


def answer_passage_match(example: Any, pred: Any, trace: Any = None) -> bool:  # noqa: ARG001  a metric
    """Whether one of the passages in `pred.context` has an answer of the example, word for word.

    Raises:
        ConfigurationError: `example.answer` is neither a text nor a list of texts.
    """
    answers = [_units(answer) for answer in _answers(example)]
    return any(_has_words(_units(passage), answer) for passage in pred.context for answer in answers)


def EM(prediction: str, answers_list: Sequence[str]) -> bool:  # noqa: N802  DSPy's name
    """Whether an answer is one of those expected, once both are normalized."""
    return bool(_best(em_score, prediction, answers_list))


def F1(prediction: str, answers_list: Sequence[str]) -> float:  # noqa: N802  DSPy's name
    """Return the best F1 of an answer's words with those of an expected one."""
    return _best(f1_score, prediction, answers_list)


def HotPotF1(prediction: str, answers_list: Sequence[str]) -> float:  # noqa: N802  DSPy's name
    """Return the best F1, where `yes` and `no` are right or wrong only."""
    return _best(hotpot_f1_score, prediction, answers_list)


def em_score(prediction: str, ground_truth: str) -> bool:
    """Whether two texts are the same once they are normalized."""
    return normalize_text(prediction) == normalize_text(ground_truth)


def f1_score(prediction: str, ground_truth: str) -> float:
    """Return the F1 of the words of two texts: 0 where they share none."""
    found, wanted = _words(prediction), _words(ground_truth)
    shared = (Counter(found) & Counter(wanted)).total()
    return 2 * shared / (len(found) + len(wanted)) if shared else 0.0


def hotpot_f1_score(prediction: str, ground_truth: str) -> float:
    """Return the F1 of two texts; 0 where only one of them is `yes`, `no` or `noanswer`."""
    texts = {normalize_text(prediction), normalize_text(ground_truth)}
    return 0.0 if len(texts) > 1 and texts & _JUDGEMENTS else f1_score(prediction, ground_truth)


def precision_score(prediction: str, ground_truth: str) -> float:
    """Return which share of a text's words is in the other one."""
    found, wanted = _words(prediction), _words(ground_truth)
    return (Counter(found) & Counter(wanted)).total() / len(found) if found else 0.0


def normalize_text(s: str) -> str:
    """Return a text in lower case, without punctuation and articles, its words one space apart."""
    plain = unicodedata.normalize("NFD", s).lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def _words(text: str) -> list[str]:
    return normalize_text(text).split()


def _units(text: str) -> list[str]:
    """Return the runs of letters and digits of a normalized text, and each other character that can be seen.

    So does the tokenizer of DPR (Karpukhin et al. 2020): a quotation mark is not a part of the word before it.
    """
    found: list[str] = []
    in_word = False
    for sign in unicodedata.normalize("NFD", normalize_text(text)):
        kind = unicodedata.category(sign)[0]
        if kind in "LMN" and in_word:
            found[-1] += sign
        elif kind not in "ZC":
            found.append(sign)
        in_word = kind in "LMN"
    return [unit.lower() for unit in found]


def _has_words(words: Sequence[str], wanted: Sequence[str]) -> bool:
    size = len(wanted)
    return any(list(words[start : start + size]) == list(wanted) for start in range(len(words) - size + 1))


def _answers(example: Any) -> list[str]:
    answer = example.answer
    if isinstance(answer, str):
        return [answer]
    if isinstance(answer, list):
        return answer
    raise ConfigurationError(f"`answer` of the example is a text or a list of texts, not {value_text(answer, 200)}")


def _best(score: Callable[[str, str], float], prediction: str, answers: Sequence[str]) -> float:
    if not isinstance(answers, list) or not answers:
        raise ConfigurationError(
            f"the expected answers are a list of at least one text, not {value_text(answers, 200)}"
        )
    return max(score(prediction, answer) for answer in answers)
