"""BM25: ranks passages by shared words with the query, weighting rare words most. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dspex_core.errors import ArtifactError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.retrievers.base import Retriever
from dspex_core.retrievers.embedders import best
from dspex_core.retrievers.words import words
from dspex_core.storage.artifacts import read_artifact, write_artifact

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

_KIND = "bm25"


class BM25(Retriever):
    """Finds passages by the words of a query, without a model; passages without a shared word are not found.

    Source: Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework"; Lucene's variant.

    Args:
        corpus: The passages.
        k: The largest number of passages that a call returns.
        k1: How much repetitions of a word in a passage count; with 0, not at all.
        b: How much long passages are penalized, from 0 to 1.
        tokenizer: A function from a text to its words, such as a stemmer. By default words are casefolded, with
            character bigrams in scripts without spaces.
    """

    def __init__(
        self,
        corpus: Sequence[str],
        k: int = 5,
        *,
        k1: float = 1.5,
        b: float = 0.75,
        tokenizer: Callable[[str], list[str]] | None = None,
    ) -> None:
        super().__init__(corpus, k)
        self.k1 = k1
        self.b = b
        self.tokenizer = tokenizer
        self._index = self._made()

    def ranked(self, query: str, k: int) -> list[tuple[int, float]]:
        """Return positions and scores of at most `k` passages that share a word with the query."""
        asked = self._words(query)
        if not asked or self._index is None:
            return []
        with foreign_code():
            scores = self._index.get_scores(asked)
        return [(position, score) for position, score in best(scores, k) if score > 0]

    def save(self, path: str | PathLike[str]) -> None:
        """Write the corpus and the settings to a folder, as JSON.

        Raises:
            ArtifactError: The folder cannot be written; earlier content stays unchanged.
        """
        state = {"corpus": self.corpus, "k": self.k, "k1": self.k1, "b": self.b, "own_words": self.tokenizer is None}
        write_artifact(_file(path), _KIND, state)

    @classmethod
    def from_saved(cls, path: str | PathLike[str], tokenizer: Callable[[str], list[str]] | None = None) -> Self:
        """Return a saved retriever.

        Args:
            path: The folder.
            tokenizer: Its tokenizer, if it had one.

        Raises:
            ArtifactError: The folder cannot be read, or its tokenizer is not given.
        """
        file = _file(path)
        match read_artifact(file, _KIND):
            case {
                "corpus": list(corpus),
                "k": int(k),
                "k1": float(k1) | int(k1),
                "b": float(b) | int(b),
                "own_words": own,
            }:
                if not own and tokenizer is None:
                    raise ArtifactError("was saved with a tokenizer: pass it to from_saved", path=str(file))
                return cls(corpus, k, k1=k1, b=b, tokenizer=tokenizer)
        raise ArtifactError("is a damaged artifact: it lacks a part of the retriever", path=str(file))

    def _words(self, text: str) -> list[str]:
        return words(text) if self.tokenizer is None else self.tokenizer(text)

    def _made(self) -> Any:
        """Return the index of bm25s, or `None` for a corpus without words."""
        with foreign_code():
            import bm25s  # heavy, loaded on demand

        tokens = [self._words(passage) for passage in self.corpus]
        if not any(tokens):
            return None
        with foreign_code():
            index = bm25s.BM25(k1=self.k1, b=self.b)
            index.index(tokens, show_progress=False)
        return index


def _file(path: str | PathLike[str]) -> Path:
    return Path(path) / "bm25.json"
