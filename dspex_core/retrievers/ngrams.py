"""How similar texts are by their n-grams, without a matrix of them. PYTEST_DONT_REWRITE

The n-grams are those of scikit-learn's `HashingVectorizer`, and the similarity is that of its rows, the cosine of
counts; a test holds the two together. This needs no scikit-learn, which is larger than all else that a program with
demos of nearest examples loads.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from dspex_core.errors.foreign_code import foreign_code

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ANALYZERS = ("char_wb", "char", "word")
_SPACES = re.compile(r"\s\s+")
_WORD = re.compile(r"\b\w\w+\b")


class NgramIndex:
    """An index of texts by their n-grams. Threads may share it.

    Args:
        texts: The texts to compare with.
        analyzer, ngram_range: As in `LexicalEmbedder`.
    """

    def __init__(self, texts: Sequence[str], *, analyzer: str, ngram_range: tuple[int, int]) -> None:
        self._analyzer = analyzer
        self._range = ngram_range
        self._size = len(texts)
        places = defaultdict[str, list[int]](list)
        weights = defaultdict[str, list[float]](list)
        for place, text in enumerate(texts):
            for ngram, weight in self._weights(text):
                places[ngram].append(place)
                weights[ngram].append(weight)
        with foreign_code():
            import numpy as np  # not needed to import dspex

            self._found = {ngram: (np.array(places[ngram]), np.array(weights[ngram])) for ngram in places}

    def similarities(self, query: str) -> Any:
        """Return a numpy array with the similarity of each text to the query, from 0 to 1."""
        with foreign_code():
            import numpy as np  # loaded by now

            scores = np.zeros(self._size)
            for ngram, weight in self._weights(query):
                if ngram in self._found:
                    places, weights = self._found[ngram]
                    scores[places] += weight * weights
            return scores.round(12)  # the order of a sum makes no difference between texts that are equally similar

    def _weights(self, text: str) -> Iterator[tuple[str, float]]:
        counts = Counter(ngrams_of(text, analyzer=self._analyzer, ngram_range=self._range))
        length = math.sqrt(sum(count * count for count in counts.values()))
        for ngram, count in counts.items():
            yield ngram, count / length


def ngrams_of(text: str, *, analyzer: str, ngram_range: tuple[int, int]) -> Iterator[str]:
    """Yield the n-grams of a text, each as often as it occurs."""
    if analyzer == "word":
        yield from (" ".join(words) for words in _runs(_WORD.findall(text.lower()), ngram_range))
        return
    shown = _SPACES.sub(" ", text.lower())
    if analyzer == "char":
        yield from ("".join(run) for run in _runs(shown, ngram_range))
        return
    shortest, longest = ngram_range
    for word in shown.split():
        padded = f" {word} "
        for size in range(shortest, longest + 1):
            yield from (padded[start : start + size] for start in range(max(1, len(padded) - size + 1)))
            if size >= len(padded):  # a short word counts once, whatever the sizes
                break


def _runs(units: Sequence[str], ngram_range: tuple[int, int]) -> Iterator[Sequence[str]]:
    shortest, longest = ngram_range
    for size in range(shortest, min(longest, len(units)) + 1):
        yield from (units[start : start + size] for start in range(len(units) - size + 1))
