"""A metric of one field by the similarity of embeddings. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.flow.steps import Call
from dspex_core.metrics.comparison import as_text
from dspex_core.metrics.fields import FieldMetric, mismatch, options_text
from dspex_core.metrics.score import Score

if TYPE_CHECKING:
    from collections.abc import Callable


def embedding_similarity(
    field: str | None,
    embedder: Callable[..., Any],
    *,
    threshold: float | None = None,
    expected: str | None = None,
) -> FieldMetric:
    """Make a metric of the cosine of the embeddings of the expected and the predicted text; below 0 it is 0.

    Of a list of expected texts, the most similar counts. A model's embeddings are recorded as LM calls are.

    Args:
        field: The field of the prediction; `None` for the only output that the example has a value for.
        embedder: An `Embedder`, or a function from a list of texts to a row for each, sync or async.
        threshold: If given, the score is 1 for a similarity of at least this, and 0 below it.
        expected: The field of the example, if it has another name.

    Raises:
        ConfigurationError: The embedder cannot be called, or the threshold is not above 0 and at most 1.
    """
    if not callable(embedder):
        raise ConfigurationError(
            f"embedding_similarity({field!r}) needs an Embedder or a function, not {embedder!r}; "
            "for a model write Embedder('provider/model')"
        )
    if threshold is not None and not 0 < threshold <= 1:
        raise ConfigurationError(f"embedding_similarity({field!r}) needs 0 < threshold <= 1, not {threshold!r}")
    options = f"{embedder!r}" + (f", threshold={threshold!r}" if threshold is not None else "")
    more = options_text(expected=(expected, None))
    judge = partial(_similar, embedder=embedder, threshold=threshold)
    shown = ", ".join(filter(None, [options, more]))
    return FieldMetric("embedding_similarity", field, judge, shown, expected, takes_several=True)


def _similar(expected: Any, predicted: Any, *, embedder: Callable[..., Any], threshold: float | None) -> Score:
    wanted = list(expected) if isinstance(expected, list | tuple | set | frozenset) else [expected]
    texts = [as_text(predicted), *sorted(map(as_text, wanted))]
    if len(texts) == 1:
        return Score(0.0, mismatch(expected, predicted))
    similarity = _cosine(Call(embedder, (texts,)).run(), texts)
    details = {"similarity": similarity}
    value = max(0.0, similarity) if threshold is None else float(similarity >= threshold)
    if value == 1 or (threshold is None and similarity > 1 - 1e-6):
        return Score(1.0, details=details)
    return Score(value, f"{mismatch(expected, predicted)} (similarity {similarity:.2f})", details)


def _cosine(rows: Any, texts: list[str]) -> float:
    """Return the highest cosine of the first text's row with another; equal texts are the same without directions.

    Raises:
        ConfigurationError: There is not a row of finite numbers for each text.
    """
    with foreign_code():
        import numpy as np  # not needed to import dspex

        matrix = np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows, dtype=np.float64)
        if matrix.ndim != 2 or len(matrix) != len(texts) or not np.isfinite(matrix).all():  # noqa: PLR2004  rows and columns
            raise ConfigurationError(
                f"the embedder must return a row of finite numbers for each of {len(texts)} texts, "
                f"not {type(rows).__name__} of the shape {matrix.shape}"
            )
        lengths = np.linalg.norm(matrix, axis=1)
        products = matrix[1:] @ matrix[0]
        scale = lengths[1:] * lengths[0]
        cosines = np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
        return 1.0 if texts[0] in texts[1:] else float(np.clip(cosines.max(), -1.0, 1.0))
