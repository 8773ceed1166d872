"""Text similarity: embedders, and an index of nearest texts. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from dspex_core.errors import ArtifactError, ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.errors.optional import optional
from dspex_core.flow.steps import Call, adrive, drive
from dspex_core.plain.display import value_text
from dspex_core.retrievers.ngrams import ANALYZERS, NgramIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dspex_core.flow.steps import Flow
    from dspex_core.lm.embedding import EmbeddingModel

_CONNECTION = frozenset(("api_base", "api_key", "num_retries", "engine", "timeout"))
_STORABLE = frozenset(("dimensions", "encoding_format", "input_type", "task_type", "truncate"))
_MATRIX_DIMENSIONS = 2
_COLUMNS = 2**18  # so many that collisions are rare; the matrix is sparse, so this is free


class Vectorizer(Protocol):
    """Embeds texts as rows of a matrix, such that similar texts have similar directions."""

    def __call__(self, texts: list[str], /) -> Any:
        """Return a matrix (numpy, SciPy sparse, or lists) with one row for each text."""


class Embedder:
    """Embeds texts by a model behind an API, or by your own function.

    Args:
        model: `provider/model`, such as `"openai/text-embedding-3-small"`, or a function from a list of
            texts to a matrix (numpy, SciPy sparse, or lists) with one row for each.
        batch_size: The number of texts per request.
        caching: Whether a model's vectors are kept in the response cache, text by text. A function's vectors are not
            cached.
        api_base, api_key, num_retries, engine, timeout, headers, ...: As for an `LM`.
        **kwargs: Further arguments of each call, such as `dimensions`.
    """

    def __init__(
        self,
        model: str | Callable[..., Any],
        batch_size: int = 200,
        caching: bool = True,  # noqa: FBT001, FBT002  DSPy's signature
        **kwargs: Any,
    ) -> None:
        self.model = model
        self.batch_size = batch_size
        self.caching = caching
        self._client, self.default_kwargs = _client(model, kwargs)

    def __call__(
        self,
        inputs: str | Sequence[str],
        batch_size: int | None = None,
        caching: bool | None = None,  # noqa: FBT001  DSPy's signature
        **kwargs: Any,
    ) -> Any:
        """Return the vectors of texts as the rows of a matrix; for a single text, one vector.

        They are numpy arrays of 32-bit floats; a function that returns sparse rows keeps them sparse.

        Raises:
            LMError: The call failed.
            ConfigurationError: The function does not return a row for each text.
        """
        return drive(self._flow(inputs, batch_size or self.batch_size, caching=caching, kwargs=kwargs))

    async def acall(
        self,
        inputs: str | Sequence[str],
        batch_size: int | None = None,
        caching: bool | None = None,  # noqa: FBT001  DSPy's signature
        **kwargs: Any,
    ) -> Any:
        """Return the vectors without blocking the event loop."""
        return await adrive(self._flow(inputs, batch_size or self.batch_size, caching=caching, kwargs=kwargs))

    def to_json(self) -> dict[str, Any]:
        """Return the settings in the form that artifacts store: never a key or an address.

        Raises:
            ArtifactError: The model is a function, which cannot be stored.
        """
        if isinstance(self.model, LexicalEmbedder):
            return self.model.to_json()
        if not isinstance(self.model, str):
            message = f"an embedder that is a function cannot be stored: {self.model!r}; use one with a model string"
            raise ArtifactError(message)
        return {"kind": "model", "model": self.model, "config": _storable(self.default_kwargs)}

    def _flow(
        self, inputs: str | Sequence[str], batch_size: int, *, caching: bool | None, kwargs: dict[str, Any]
    ) -> Flow[Any]:
        texts = [inputs] if isinstance(inputs, str) else list(inputs)
        config = {**self.default_kwargs, **kwargs}
        batches = []
        for start in range(0, len(texts), batch_size):
            batch = texts[start : start + batch_size]
            if self._client is None:
                rows = yield Call(self.model, (batch,), config)  # type: ignore[arg-type]  # no client: a function
            else:
                cached = self.caching if caching is None else caching
                rows = yield from self._client.vectors(batch, config, cached=cached)
            batches.append(_matrix(rows, len(batch)))
        matrix = _stacked(batches)
        return matrix[0] if isinstance(inputs, str) else matrix

    def __repr__(self) -> str:
        return f"Embedder({self.model!r})"


@dataclass(frozen=True)
class LexicalEmbedder:
    """An embedder without a model: it hashes the n-grams of a text.

    Its rows are sparse and of length 1. They depend on the text alone, not on other texts. An index of texts compares
    their n-grams without making rows; a call, which returns rows, needs scikit-learn (`pytest-dspex[metrics]`).

    Args:
        analyzer: The units of n-grams: `"char_wb"` (characters within words), `"char"`
            or `"word"`.
        ngram_range: The shortest and the longest n-gram.
    """

    analyzer: str = "char_wb"
    ngram_range: tuple[int, int] = (2, 4)

    def __post_init__(self) -> None:
        if self.analyzer not in ANALYZERS or not _is_range(self.ngram_range):
            message = (
                f"a lexical embedder needs an analyzer of {', '.join(map(repr, ANALYZERS))} and 1 <= shortest <= "
                f"longest n-gram, not {self.analyzer!r} and {self.ngram_range!r}"
            )
            raise ConfigurationError(message)

    def __call__(self, texts: list[str], /) -> Any:
        """Return a SciPy CSR matrix with one row for each text.

        Raises:
            ConfigurationError: scikit-learn is not installed, or something is not a text.
        """
        others = [texts] if isinstance(texts, str) else [text for text in texts if not isinstance(text, str)]
        if others:
            raise ConfigurationError(f"a lexical embedder takes a list of texts, not {value_text(others[0], 200)}")
        readable = [text.encode("utf-8", "replace").decode() for text in texts]  # models write lone surrogates, too
        with foreign_code():
            return self._vectorizer.transform(readable)

    @cached_property
    def _vectorizer(self) -> Any:
        text = optional("sklearn.feature_extraction.text", "a matrix of n-grams needs scikit-learn", extra="metrics")
        return text.HashingVectorizer(
            analyzer=self.analyzer, ngram_range=self.ngram_range, n_features=_COLUMNS, alternate_sign=False
        )

    def to_json(self) -> dict[str, Any]:
        """Return the settings in the form that artifacts store."""
        return {"kind": "lexical", "analyzer": self.analyzer, "ngram_range": list(self.ngram_range)}


def _is_range(given: Any) -> bool:
    match given:
        case (int(shortest), int(longest)):
            return 1 <= shortest <= longest
    return False


def embedder_from_json(stored: Mapping[str, Any]) -> LexicalEmbedder | Embedder:
    """Rebuild an embedder from its stored form.

    Raises:
        ArtifactError: `stored` is not an embedder that this version knows.
    """
    match stored:
        case {"kind": "lexical", "analyzer": str(analyzer), "ngram_range": [int(shortest), int(longest)]}:
            return LexicalEmbedder(analyzer, (shortest, longest))
        case {"kind": "model", "model": str(model), "config": dict(config)} if _storable(config) == config:
            return Embedder(model, **config)
    message = f"is not a stored embedder that this version knows: {dict(stored)!r}"
    raise ArtifactError(message)


def _storable(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the storable settings of an embedder's calls: never a key, an address, or extra parts of requests."""
    return {name: value for name, value in config.items() if name in _STORABLE and isinstance(value, str | int | None)}


class NearestIndex:
    """An index that finds the texts most similar to a query. Threads may share it.

    Args:
        texts: The texts to search.
        embedder: Called once with all of the texts, then with each query.
        normalize: Whether to compare directions only (cosine), or lengths too (dot product).
        vectors: The texts' rows, if known; the embedder is then called with queries only.

    Raises:
        ConfigurationError: The embedder does not return a row for each text, or one of `texts` is not a text.
    """

    def __init__(
        self, texts: Sequence[str], embedder: Vectorizer, *, normalize: bool = True, vectors: Any = None
    ) -> None:
        for text in texts:
            _check_text(text)
        self._embedder = embedder
        self._normalize = normalize
        self._columns = None
        self._ngrams = _index_of_ngrams(texts, embedder)
        if texts and self._ngrams is None:
            rows = embedder(list(texts)) if vectors is None else vectors
            self._columns = _columns(rows, len(texts), normalize=normalize)

    @property
    def vectors(self) -> Any:
        """The rows of the texts as a numpy array; `None` if they are sparse or empty."""
        return None if self._columns is None or hasattr(self._columns, "toarray") else self._columns.T

    def nearest(self, query: str, k: int) -> list[int]:
        """Return the positions of the `k` most similar texts, the most similar last.

        So the best example stands next to the question in a prompt.
        """
        return [position for position, _ in reversed(self.ranked(query, k))]

    def ranked(self, query: str, k: int) -> list[tuple[int, float]]:
        """Return positions and similarities of the `k` most similar texts, the most similar first.

        Of equally similar texts the earlier one comes first. There are fewer when the index has fewer texts.

        Raises:
            ConfigurationError: The query's vector and the texts' vectors differ in length, or it is not a text.
        """
        _check_text(query)
        if self._ngrams is not None:
            return best(self._ngrams.similarities(query), k)
        if self._columns is None:
            return []
        row = _columns(self._embedder([query]), 1, normalize=self._normalize).T
        if row.shape[1] != self._columns.shape[0]:
            message = (
                f"the embedder makes vectors of {row.shape[1]} numbers, and those of the texts have "
                f"{self._columns.shape[0]}: use the embedder that made them"
            )
            raise ConfigurationError(message)
        with foreign_code():
            product = row @ self._columns
            scores = (product.toarray() if hasattr(product, "toarray") else product).ravel()
        return best(scores, k)


def _check_text(text: Any) -> None:
    if not isinstance(text, str):
        raise ConfigurationError(f"an index compares texts, not {value_text(text, 200)}")


def _index_of_ngrams(texts: Sequence[str], embedder: Vectorizer) -> NgramIndex | None:
    """Return the index of an embedder whose rows are n-grams; their lengths are 1, whether normalized or not."""
    inner = embedder.model if isinstance(embedder, Embedder) else embedder
    if not isinstance(inner, LexicalEmbedder):
        return None
    return NgramIndex(texts, analyzer=inner.analyzer, ngram_range=inner.ngram_range)


def best(scores: Any, k: int) -> list[tuple[int, float]]:
    """Return position and value of the `k` highest scores of a numpy array, the highest first."""
    with foreign_code():
        import numpy as np  # not needed to import dspex

        return [(int(position), float(scores[position])) for position in np.argsort(-scores, kind="stable")[:k]]


def _client(model: str | Callable[..., Any], given: dict[str, Any]) -> tuple[EmbeddingModel | None, dict[str, Any]]:
    """Return the client of an embedding model, or `None` for a function, and the arguments of each call."""
    if isinstance(model, str):
        # The LM client, loaded on demand.
        from dspex_core.lm.embedding import EmbeddingModel
        from dspex_core.lm.options import set_apart

        engine = {name: given[name] for name in ("engine",) if name in given}
        kwargs, apart = set_apart({name: value for name, value in given.items() if name not in engine})
        own = {name: apart.pop(name) for name in _CONNECTION if name in apart}
        return EmbeddingModel(model, **engine, **own, options=apart), kwargs
    if not callable(model) or _CONNECTION & given.keys():
        message = f"an embedder must be a model string, or a function without {', '.join(_CONNECTION)}; not {model!r}"
        raise ConfigurationError(message)
    return None, given


def _matrix(rows: Any, n: int) -> Any:
    """Return rows as a numpy or sparse matrix, after checking their number."""
    with foreign_code():
        import numpy as np  # not needed to import dspex

        try:
            matrix = rows if hasattr(rows, "toarray") else np.asarray(rows, dtype=np.float32)
        except (TypeError, ValueError) as error:  # a ragged list, or one of other values than numbers
            message = f"the embedder must return a row of numbers, all of one length, for each of {n} texts: {error}"
            raise ConfigurationError(message) from error
    if matrix.ndim != _MATRIX_DIMENSIONS or matrix.shape[0] != n:
        message = f"the embedder must return a row for each of {n} texts, not a matrix of the shape {matrix.shape}"
        raise ConfigurationError(message)
    return matrix


def _stacked(matrices: list[Any]) -> Any:
    with foreign_code():
        import numpy as np  # as in _matrix

    if any(hasattr(matrix, "toarray") for matrix in matrices):
        sparse = optional("scipy.sparse", "joining sparse rows needs SciPy", extra="metrics")
        with foreign_code():
            return sparse.vstack(matrices, format="csr")
    with foreign_code():
        return np.concatenate(matrices) if matrices else np.empty((0, 0), dtype=np.float32)


def _columns(rows: Any, n: int, *, normalize: bool) -> Any:
    """Return the rows of `n` texts as columns, scaled to length 1 if they are to be normalized."""
    matrix = _matrix(rows, n)
    if hasattr(matrix, "toarray"):
        sklearn = optional("sklearn.preprocessing", "an index of sparse rows needs scikit-learn", extra="metrics")
        with foreign_code():
            # Stored by n-gram, so that a query reads only its own n-grams.
            return (sklearn.normalize(matrix) if normalize else matrix).T.tocsr()
    with foreign_code():
        import numpy as np  # loaded by now

        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        return (matrix / np.where(lengths == 0, 1, lengths) if normalize else matrix).T
