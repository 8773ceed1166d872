"""Vectors of texts without a model, for tests. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from dspex_core.errors.foreign_code import foreign_code

if TYPE_CHECKING:
    from collections.abc import Sequence


class DummyVectorizer:
    """Embeds texts by counting hashed character n-grams; similar texts have similar vectors.

    Args:
        max_length: The length of a vector.
        n_gram: The number of characters in an n-gram.
    """

    def __init__(self, max_length: int = 100, n_gram: int = 2) -> None:
        self.max_length = max_length
        self.n_gram = n_gram

    def __call__(self, texts: Sequence[str]) -> Any:
        """Return an array with a row of length 1 for each text, centred where that is possible."""
        with foreign_code():
            import numpy as np  # heavy, and only tests need it

        vectors = np.zeros((len(texts), self.max_length), dtype=np.float32)
        for row, text in enumerate(texts):
            for start in range(len(text) - self.n_gram + 1):
                place = zlib.crc32(text[start : start + self.n_gram].encode()) % self.max_length
                vectors[row, place] += 1
        vectors -= vectors.mean(axis=1, keepdims=True)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-10)
