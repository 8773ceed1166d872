"""Vectors in replies and caches, as text, so that they can be cached like any answer. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import array
import base64
import sys
from typing import TYPE_CHECKING, Any

from dspex_core.lm.engines.wire.base import RefusedError, read_name, read_usage, says_error
from dspex_core.messages import LMOutput, LMResponse

if TYPE_CHECKING:
    from collections.abc import Iterable


def to_vectors(data: Any, *, n: int) -> LMResponse:
    """Return an embeddings reply as a response: each output's text is a vector, see `vector_text`.

    Raises:
        RefusedError: The provider says that the call failed.
        KeyError, TypeError, AttributeError, ValueError: The reply does not hold `n` vectors.
    """
    if says_error(data) and not data.get("data"):
        raise RefusedError(data)
    rows = sorted(data["data"], key=lambda row: row["index"])
    if len(rows) != n:
        raise ValueError(f"{len(rows)} vectors")
    return LMResponse(
        tuple(LMOutput(vector_text(row["embedding"])) for row in rows),
        model=read_name(data.get("model")),
        **read_usage(data),
    )


def vector_text(numbers: Iterable[float]) -> str:
    """Return a vector as base64 of 32-bit floats, a third of the length of its JSON."""
    return base64.b64encode(_little(array.array("f", numbers)).tobytes()).decode()


def vector_from_text(text: str) -> list[float]:
    """Return the numbers in a vector's text."""
    numbers = array.array("f")
    numbers.frombytes(base64.b64decode(text))
    return _little(numbers).tolist()


def _little(numbers: array.array[float]) -> array.array[float]:
    if sys.byteorder == "big":  # files of a cache may move between machines
        numbers.byteswap()
    return numbers
