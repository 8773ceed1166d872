"""Texts as words, and answers in them, as open-domain question answering compares them. PYTEST_DONT_REWRITE

The rules are those of DPR (Karpukhin et al., 2020, "Dense Passage Retrieval for Open-Domain Question Answering").
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_WORD = "LNM"  # letters, numbers and marks; the first letters of Unicode's categories
_BETWEEN = "ZC"  # white space and control characters


@dataclass(frozen=True)
class Tokens:
    """The words of a text.

    Args:
        text: The text.
        spans: Where each word begins and ends in it.
    """

    text: str
    spans: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.spans)

    def slice(self, i: int | None = None, j: int | None = None) -> Self:
        """Return the words from the i-th to before the j-th one."""
        return replace(self, spans=self.spans[i:j])

    def untokenize(self) -> str:
        """Return the text from the first to the last word."""
        return self.text[self.spans[0][0] : self.spans[-1][1]] if self.spans else ""

    def words(self, uncased: bool = False) -> list[str]:  # noqa: FBT001, FBT002  as in DSPy
        """Return the words, in lower case if asked for."""
        words = [self.text[start:end] for start, end in self.spans]
        return [word.lower() for word in words] if uncased else words

    def offsets(self) -> list[tuple[int, int]]:
        """Return where each word begins and ends in the text."""
        return list(self.spans)

    def ngrams(
        self,
        n: int = 1,
        uncased: bool = False,  # noqa: FBT001, FBT002  as in DSPy
        filter_fn: Callable[[list[str]], bool] | None = None,
        as_strings: bool = True,  # noqa: FBT001, FBT002  as in DSPy
    ) -> list[str] | list[tuple[int, int]]:
        """Return runs of one to `n` words, as texts or as numbers of words, without those that `filter_fn` takes."""
        words = self.words(uncased)
        runs = [
            (start, end)
            for start in range(len(words))
            for end in range(start + 1, min(start + n, len(words)) + 1)
            if filter_fn is None or not filter_fn(words[start:end])
        ]
        return [" ".join(words[start:end]) for start, end in runs] if as_strings else runs


class SimpleTokenizer:
    """Splits a text into runs of letters, numbers and marks, and other visible characters."""

    def tokenize(self, text: str) -> Tokens:
        """Return the words of a text."""
        return Tokens(text, tuple(_spans(text)))


STokenizer = SimpleTokenizer()


def DPR_tokenize(text: str) -> Tokens:  # noqa: N802  DSPy's name
    """Return the words of a text whose accents stand apart."""
    return STokenizer.tokenize(unicodedata.normalize("NFD", text))


def DPR_normalize(text: str) -> list[str]:  # noqa: N802  DSPy's name
    """Return the words of a text in lower case."""
    return DPR_tokenize(text).words(uncased=True)


def has_answer(tokenized_answers: Sequence[Sequence[str]], text: str) -> bool:
    """Whether a text has one of the answers, each as `DPR_normalize` returns it."""
    words, answers = DPR_normalize(text), map(list, tokenized_answers)
    return any(answer == words[at : at + len(answer)] for answer in answers for at in _starts(answer, words))


def locate_answers(tokenized_answers: Sequence[Tokens], text: str) -> list[tuple[int, int]]:
    """Return where the answers, each as `DPR_tokenize` returns it, begin and end in a text, in characters."""
    tokens = DPR_tokenize(text)
    words, spans = tokens.words(uncased=True), tokens.spans
    answers = [answer.words(uncased=True) for answer in tokenized_answers]
    return [
        (spans[at][0], spans[at + len(answer) - 1][1])
        for answer in answers
        for at in _starts(answer, words)
        if answer and answer == words[at : at + len(answer)]
    ]


def strip_accents(text: str) -> str:
    """Return a text without accents."""
    return "".join(each for each in unicodedata.normalize("NFD", text) if unicodedata.category(each) != "Mn")


def _starts(answer: Sequence[str], words: Sequence[str]) -> range:
    return range(len(words) - len(answer) + 1)


def _spans(text: str) -> Iterator[tuple[int, int]]:
    begun: int | None = None
    for at, each in enumerate(text):
        kind = unicodedata.category(each)[0]
        if kind in _WORD:
            begun = at if begun is None else begun
            continue
        if begun is not None:
            yield begun, at
            begun = None
        if kind not in _BETWEEN:
            yield at, at + 1
    if begun is not None:
        yield begun, len(text)
