"""Retrieval by embeddings: passages whose vectors are nearest to the query's. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dspex_core.errors import ArtifactError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.retrievers.base import Retriever
from dspex_core.retrievers.embedders import Embedder, LexicalEmbedder, NearestIndex, embedder_from_json
from dspex_core.storage.artifacts import read_artifact, write_artifact
from dspex_core.storage.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from dspex_core.retrievers.embedders import Vectorizer

_KIND = "embeddings"
_VECTORS = re.compile(r"vectors-[0-9a-f]{16}\.npy")


class Embeddings(Retriever):
    """Finds the passages whose vectors are most similar to the query's, by exact search.

    Args:
        corpus: The passages; all are embedded at once.
        embedder: An `Embedder`, a `LexicalEmbedder`, or a function from a list of texts to vectors.
        k: The number of passages that a call returns.
        callbacks, cache, brute_force_threshold: No effect; accepted for DSPy's code.
        normalize: Whether to compare by cosine (directions only) instead of dot product.
    """

    def __init__(
        self,
        corpus: Sequence[str],
        embedder: Vectorizer,
        k: int = 5,
        callbacks: Sequence[Any] | None = None,
        cache: bool = False,  # noqa: FBT001, FBT002  DSPy's signature
        brute_force_threshold: int | None = None,
        normalize: bool = True,  # noqa: FBT001, FBT002  DSPy's signature
    ) -> None:
        super().__init__(corpus, k)
        self.embedder = _embedder(embedder)
        self.normalize = normalize
        self._index = NearestIndex(self.corpus, self.embedder, normalize=normalize)

    def ranked(self, query: str, k: int) -> list[tuple[int, float]]:
        """Return positions and similarities of the `k` most similar passages."""
        return self._index.ranked(query, k)

    def save(self, path: str | PathLike[str]) -> None:
        """Write corpus, settings and vectors to a folder, without pickle, replacing earlier content.

        Of an embedder with a model string only the name is kept, never a key or an address.

        Raises:
            ArtifactError: The folder cannot be written; earlier content stays unchanged.
        """
        folder = Path(path)
        state = {"corpus": self.corpus, "k": self.k, "normalize": self.normalize, "embedder": _stored(self.embedder)}
        data = _bytes(self._index.vectors)
        name = f"vectors-{hashlib.sha256(data).hexdigest()[:16]}.npy" if data else None
        try:
            if name:
                write_atomically(folder / name, data)
            write_artifact(_file(folder), _KIND, {**state, "vectors": name})
            for file in folder.iterdir():
                if _VECTORS.fullmatch(file.name) and file.name != name:
                    file.unlink()
        except OSError as error:
            raise ArtifactError(f"cannot be written: {error.strerror}", path=str(folder)) from error

    @classmethod
    def from_saved(cls, path: str | PathLike[str], embedder: Vectorizer | None = None) -> Self:
        """Return a saved retriever, without embedding the corpus again.

        Args:
            path: The folder.
            embedder: Its embedder; needed only if that was a function.

        Raises:
            ArtifactError: The folder cannot be read, or the embedder is missing.
        """
        return cls.__new__(cls).load(path, embedder)

    def load(self, path: str | PathLike[str], embedder: Vectorizer | None = None) -> Self:
        """Load a saved retriever into this one, like `from_saved`, and return it."""
        file = _file(path)
        match read_artifact(file, _KIND):
            case {"corpus": list(corpus), "k": int(k), "normalize": bool(normalize), "vectors": name, **rest}:
                pass
            case _:
                raise ArtifactError("is a damaged artifact: it lacks a part of the retriever", path=str(file))
        used = _embedder(embedder or _restored(rest.get("embedder"), file))
        vectors = None if name is None else _read_vectors(file, name, len(corpus))
        Retriever.__init__(self, corpus, k)
        self.embedder = used
        self.normalize = normalize
        self._index = NearestIndex(self.corpus, used, normalize=normalize, vectors=vectors)
        return self


def _embedder(given: Vectorizer) -> Embedder | LexicalEmbedder:
    return given if isinstance(given, Embedder | LexicalEmbedder) else Embedder(given)


def _stored(embedder: Embedder | LexicalEmbedder) -> dict[str, Any] | None:
    if isinstance(embedder, Embedder) and callable(embedder.model):
        return None
    return embedder.to_json()


def _restored(stored: Any, file: Path) -> Vectorizer:
    if not isinstance(stored, dict):
        raise ArtifactError("was saved with an embedder that is a function: pass it", path=str(file))
    return embedder_from_json(stored)


def _file(path: str | PathLike[str]) -> Path:
    return Path(path) / "embeddings.json"


def _bytes(vectors: Any) -> bytes:
    """Return an array as the content of a `.npy` file; `None` for sparse rows, which are quickly recomputed."""
    with foreign_code():
        import numpy as np  # heavy, loaded on demand

    if vectors is None:
        return b""
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(vectors), allow_pickle=False)
    return file.getvalue()


def _read_vectors(file: Path, name: Any, n: int) -> Any:
    with foreign_code():
        import numpy as np  # as in _bytes

    if not (isinstance(name, str) and _VECTORS.fullmatch(name)):  # never a file outside the folder
        raise ArtifactError(f"is a damaged artifact: {name!r} is not a file of vectors", path=str(file))
    place = file.with_name(name)
    try:
        vectors = np.load(place, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ArtifactError(f"cannot be read: {error}", path=str(place)) from error
    if vectors.ndim != 2 or len(vectors) != n:  # noqa: PLR2004  rows and columns
        raise ArtifactError(
            f"does not hold a row for each of {n} passages, its shape is {vectors.shape}", path=str(place)
        )
    return vectors


EmbeddingsWithScores = Embeddings  # DSPy's name for a retriever that also returns scores
