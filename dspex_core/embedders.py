"""Which texts are alike: embedders, and the index that finds a text's nearest ones. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from dspex_core.errors import ArtifactError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sklearn.feature_extraction.text import HashingVectorizer

_ANALYZERS = ("char_wb", "char", "word")
_COLUMNS = 2**18  # enough that few n-grams share one; the matrix is sparse, so it costs nothing


class Embedder(Protocol):
    """Turns texts into rows of numbers, such that alike texts point in alike directions."""

    def __call__(self, texts: list[str], /) -> Any:
        """Return a matrix (numpy, SciPy sparse, or lists) with one row for each text."""


@dataclass(frozen=True)
class LexicalEmbedder:
    """An embedder that needs no model: it hashes the n-grams of a text.

    Its rows are sparse and of length 1. They depend on the text alone, not on other texts.

    Args:
        analyzer: What the n-grams are made of: `"char_wb"` (characters within words), `"char"`
            or `"word"`.
        ngram_range: The shortest and the longest n-gram.
    """

    analyzer: str = "char_wb"
    ngram_range: tuple[int, int] = (2, 4)

    def __post_init__(self) -> None:
        shortest, longest = self.ngram_range
        if self.analyzer not in _ANALYZERS or not 1 <= shortest <= longest:
            message = (
                f"a lexical embedder needs an analyzer of {', '.join(map(repr, _ANALYZERS))} and 1 <= shortest <= "
                f"longest n-gram, not {self.analyzer!r} and {self.ngram_range!r}"
            )
            raise ConfigurationError(message)

    def __call__(self, texts: list[str], /) -> Any:
        """Return a SciPy CSR matrix with one row for each text."""
        return self._vectorizer.transform(texts)

    @cached_property
    def _vectorizer(self) -> HashingVectorizer:
        from sklearn.feature_extraction.text import HashingVectorizer  # about a second of import

        return HashingVectorizer(
            analyzer=self.analyzer, ngram_range=self.ngram_range, n_features=_COLUMNS, alternate_sign=False
        )

    def to_json(self) -> dict[str, Any]:
        """Return the settings in the form that artifacts store."""
        return {"kind": "lexical", "analyzer": self.analyzer, "ngram_range": list(self.ngram_range)}


def embedder_from_json(stored: Mapping[str, Any]) -> LexicalEmbedder:
    """Rebuild an embedder from its stored form.

    Raises:
        ArtifactError: It is not the stored form of one that this version knows.
    """
    match stored:
        case {"kind": "lexical", "analyzer": str(analyzer), "ngram_range": [int(shortest), int(longest)]}:
            return LexicalEmbedder(analyzer, (shortest, longest))
    message = f"is no stored embedder that this version knows: {dict(stored)!r}"
    raise ArtifactError(message)


class NearestIndex:
    """An index of texts that finds the ones most similar to a query. Threads may share it.

    Args:
        texts: The texts to find among.
        embedder: Called once with all of the texts, then with each query.

    Raises:
        ConfigurationError: The embedder does not return a row for each text.
    """

    def __init__(self, texts: Sequence[str], embedder: Embedder) -> None:
        self._embedder = embedder
        self._columns = _columns(list(texts), embedder) if texts else None

    def nearest(self, query: str, k: int) -> list[int]:
        """Return the positions of the `k` most similar texts by cosine, the most similar last.

        So the best example stands next to the question in a prompt. Of equally similar texts
        the earlier one counts as nearer. There are fewer when the index has fewer texts.
        """
        import numpy as np  # not needed to import dspex

        if self._columns is None:
            return []
        product = self._embedder([query]) @ self._columns
        similarities = np.asarray(product.toarray() if hasattr(product, "toarray") else product).ravel()
        ranked = np.argsort(-similarities, kind="stable")[:k]
        return [int(position) for position in ranked[::-1]]


def _columns(texts: list[str], embedder: Embedder) -> Any:
    """Return the texts' embeddings, scaled to length 1, as columns."""
    from scipy import sparse  # type: ignore[import-untyped]  # SciPy ships no type information
    from sklearn.preprocessing import normalize  # heavy, and not needed to import dspex

    columns = normalize(embedder(texts)).T
    if columns.shape[1] != len(texts):
        message = f"the embedder must return a row for each of {len(texts)} texts, not {columns.shape[1]}"
        raise ConfigurationError(message)
    # Stored by row, that is by n-gram: a query then reads only the n-grams that it has itself.
    return columns.tocsr() if sparse.issparse(columns) else columns
