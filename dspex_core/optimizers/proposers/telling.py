"""Instructions made of the training data, without asking an LM. PYTEST_DONT_REWRITE

A small model cannot write instructions, and depends most on them. What helps it can be counted: the terms that are
telling for a label, by their log-odds against the other labels; what sets two labels apart whose texts are alike; and
the form that answers have.

Source: Monroe, Colaresi and Quinn 2008, "Fightin' words: lexical feature selection and evaluation for identifying the
content of political conflict", Political Analysis 16 (log-odds with a prior, in standard errors).
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.errors.optional import optional
from dspex_core.plain.counts import is_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dspex_core.example import Example
    from dspex_core.optimizers.demos import Demo
    from dspex_core.optimizers.run import Run
    from dspex_core.programs.base import Module
    from dspex_core.signatures.signature import Signature

_FEWEST_LABELS, _MOST_LABELS = 2, 30
_WORD = r"(?u)\b\w[\w'-]+\b"
_LONG_ANSWER = 30  # words from which on a length says nothing
_CLEAR = 1.0  # standard errors from which on a term is telling
_NUMBER = re.compile(r"[+-]?\d[\d,]*(\.\d+)?%?")
_LONGEST = 60  # letters of a term, and of a label that is named in a rule


@dataclass(frozen=True)
class Telling:
    """Proposes instructions that are counted out of the trainset; it asks no LM.

    To the predictor's own instructions it adds the labels with their most telling terms, rules that set similar labels
    apart, the list of choices, and the form that answers have. Only outputs that the trainset has are described.

    Args:
        terms: How many terms a label is described by.
        rules: How many rules there are at most.

    Raises:
        ConfigurationError: One of them is not such a number.
    """

    terms: int = 4
    rules: int = 6

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not is_whole(value, 0):
                raise ConfigurationError(f"{name} must be a whole number from 0 on, not {value!r}")

    def instructions(self, run: Run[Any], path: str, count: int, demos: Sequence[Demo] = ()) -> list[str]:
        """Return new instructions for a predictor, the most promising first.

        Args:
            run: The compile; its trainset is what is counted.
            path: The predictor's path, as in `named_predictors`.
            count: How many at most.
            demos: Not needed.
        """
        signature = dict(run.student.named_predictors())[path].signature
        own = signature.instructions.strip()
        texts = {own: None}  # in order, each once
        for parts in self._additions(signature, run.trainset):
            texts.setdefault("\n".join([own, *parts]).strip())
        return list(texts)[1 : count + 1]

    def calls(self, student: Module, trainset: Sequence[Any], count: int) -> int:
        """Return that it asks no LM."""
        return 0

    def _additions(self, signature: type[Signature], trainset: Sequence[Example]) -> Iterator[list[str]]:
        """Yield what can be added to the instructions."""
        outputs = {name: _answers(name, trainset) for name in signature.output_fields}
        form = [_form(name, answers) for name, answers in outputs.items() if not _are_labels(answers)]
        form = [hint for hint in form if hint]
        for name, answers in outputs.items():
            rows = _labeled(signature, name, trainset) if _are_labels(answers) else {}
            if len(rows) < _FEWEST_LABELS:
                continue
            counted = _Counted(rows)
            terms = [_described(name, counted, self.terms)]
            rules = list(counted.rules(name, self.rules))
            choices = [f"The {name} is one of: {', '.join(sorted(rows))}."]
            yield [*terms, *form]
            if rules:
                yield [*rules, *form]
            yield [_described(name, counted, max(1, self.terms // 2)), *form]
            yield [*choices, *terms, *rules, *form]
            yield [*choices, *form]
        if form:
            yield form


class _Counted:
    """How telling terms are for labels.

    Args:
        rows: The texts of each label.
    """

    def __init__(self, rows: Mapping[str, Sequence[str]]) -> None:
        features = optional(
            "sklearn.feature_extraction.text", "counting telling terms needs scikit-learn", extra="optimize"
        )
        self.labels = sorted(rows)
        whole = [text for label in self.labels for text in rows[label]]
        try:
            words = {"ngram_range": (1, 2), "stop_words": "english", "token_pattern": _WORD}
            by_row = features.CountVectorizer(binary=True, **words)
            table = by_row.fit_transform(whole).toarray()
        except ValueError:  # there is no word in any text
            self.terms: list[str] = []
            return
        self.terms = list(by_row.get_feature_names_out())
        sizes = [len(rows[label]) for label in self.labels]
        starts = [sum(sizes[:place]) for place in range(len(sizes))]
        self._counts = [table[start : start + size].sum(axis=0) for start, size in zip(starts, sizes, strict=True)]
        self._sizes = sizes

    def telling(self, label: int, others: Sequence[int], count: int) -> list[str]:
        """Return the terms in more texts of a label than of others, the most telling first."""
        if not self.terms:
            return []
        with foreign_code():
            import numpy as np  # loaded by scikit-learn

        own, rest = self._counts[label] + 0.5, sum(self._counts[other] for other in others) + 0.5
        own_left = self._sizes[label] - own + 1
        rest_left = sum(self._sizes[other] for other in others) - rest + 1
        odds = np.log(own / own_left) - np.log(rest / rest_left)
        scores = odds / np.sqrt(1 / own + 1 / own_left + 1 / rest + 1 / rest_left)
        order = sorted(range(len(self.terms)), key=lambda place: (-scores[place], self.terms[place]))
        found: list[str] = []
        for place in order:
            term = self.terms[place]
            if scores[place] < _CLEAR or len(found) == count:
                break
            if len(term) <= _LONGEST and not any(_overlap(term, other) for other in found):
                found.append(term)
        return found

    def rules(self, name: str, count: int) -> Iterator[str]:
        """Yield rules that set those labels apart whose texts are most alike."""
        for first, second in self._alike()[:count]:
            one, other = self.telling(first, [second], 2), self.telling(second, [first], 2)
            if one and other:
                yield (
                    f"If it says {_or(one)}, the {name} is {self.labels[first]}; "
                    f"if it says {_or(other)}, it is {self.labels[second]}."
                )

    def _alike(self) -> list[tuple[int, int]]:
        """Return the pairs of labels, those with the most similar texts first."""
        if not self.terms:
            return []
        shares = [counts / size for counts, size in zip(self._counts, self._sizes, strict=True)]
        lengths = [float((share**2).sum()) ** 0.5 or 1.0 for share in shares]
        places = range(len(self.labels))
        pairs = [(one, other) for one in places for other in places if one < other]

        def similarity(pair: tuple[int, int]) -> float:
            one, other = pair
            return float((shares[one] * shares[other]).sum()) / (lengths[one] * lengths[other])

        return sorted(pairs, key=lambda pair: (-similarity(pair), pair))


def _described(name: str, counted: _Counted, count: int) -> str:
    """Return the labels with their terms."""
    lines = [f"Typical words of each {name}:"]
    for place, label in enumerate(counted.labels):
        others = [other for other in range(len(counted.labels)) if other != place]
        terms = counted.telling(place, others, count)
        lines.append(f"- {label}: {', '.join(terms)}" if terms else f"- {label}")
    return "\n".join(lines)


def _answers(name: str, trainset: Sequence[Example]) -> list[Any]:
    return [example[name] for example in trainset if example.get(name) is not None]


def _are_labels(answers: Sequence[Any]) -> bool:
    """Whether the answers are a few values that come again and again."""
    if not answers or not all(isinstance(answer, str | bool | int | Enum) for answer in answers):
        return False
    kinds = {_shown(answer) for answer in answers}
    most = min(_MOST_LABELS, len(answers) // 2)
    return _FEWEST_LABELS <= len(kinds) <= most and max(map(len, kinds)) <= _LONGEST


def _labeled(signature: type[Signature], name: str, trainset: Sequence[Example]) -> dict[str, list[str]]:
    """Return the texts of the inputs by the label."""
    rows: dict[str, list[str]] = defaultdict(list)
    for example in trainset:
        inputs = [str(example[each]) for each in signature.input_fields if example.get(each) is not None]
        if inputs and example.get(name) is not None:
            rows[_shown(example[name])].append(" ".join(inputs))
    return dict(rows)


def _form(name: str, answers: Sequence[Any]) -> str:
    """Say which form all answers have; an empty text where they have none in common."""
    texts = [answer.strip() for answer in answers if isinstance(answer, str) and answer.strip()]
    if len(texts) < max(2, len(answers)):
        return ""
    if all(map(_NUMBER.fullmatch, texts)):
        whole = all(text.lstrip("+-").isdigit() for text in texts)
        return f"The {name} is a {'whole number' if whole else 'number'} without any other words."
    hints = []
    longest = max(len(text.split()) for text in texts)
    if longest == 1:
        hints.append("one word")
    elif longest <= _LONG_ANSWER:
        hints.append(f"at most {longest} words")
    for is_so, words in ((str.islower, "in lower case"), (str.isupper, "in capitals")):
        if all(map(is_so, texts)):
            hints.append(words)
    if longest > 1 and all(text[-1] in ".!?" for text in texts):
        hints.append("ending with a full stop")
    return f"The {name} is {', '.join(hints)}." if hints else ""


def _shown(answer: Any) -> str:
    return str(answer.value if isinstance(answer, Enum) else answer).strip()


def _or(terms: Sequence[str]) -> str:
    return " or ".join(f'"{term}"' for term in terms)


def _overlap(one: str, other: str) -> bool:
    return bool(set(one.split()) & set(other.split()))
