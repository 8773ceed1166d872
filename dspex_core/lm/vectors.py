"""Vectors in replies and in caches: as text, so that they are kept as any answer is. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import array
import base64
import sys
from typing import TYPE_CHECKING

from dspex_core.messages import LMOutput, LMResponse, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dspex_core.messages import Json


def to_vectors(data: Json, *, n: int) -> LMResponse:
    """Return what an embeddings reply holds: each output's text is a vector, see `vector_text`.

    Raises:
        KeyError, TypeError, ValueError: It is no such reply, or has another number of vectors than `n`.
    """
    rows = sorted(data["data"], key=lambda row: row["index"])
    if len(rows) != n:
        raise ValueError(f"{len(rows)} vectors")
    usage = data.get("usage") or {}
    return LMResponse(
        tuple(LMOutput(vector_text(row["embedding"])) for row in rows),
        model=data.get("model") or "",
        usage=Usage(usage.get("prompt_tokens") or 0),
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
