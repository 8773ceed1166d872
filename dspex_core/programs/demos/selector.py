"""Choosing the demos of a call by its inputs. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from dspex_core.plain.counts import whole_number
from dspex_core.retrievers.embedders import Embedder, LexicalEmbedder, NearestIndex, embedder_from_json

if TYPE_CHECKING:
    from dspex_core.retrievers.embedders import Vectorizer
    from dspex_core.signatures.signature import Signature

Demo = Mapping[str, Any]


class DemoSelector(Protocol):
    """Says which of a predictor's demos a call shows, and in which order."""

    def choose(self, signature: type[Signature], demos: Sequence[Demo], inputs: Mapping[str, Any]) -> Sequence[int]:
        """Return indices into `demos`."""

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""


class NearestDemos:
    """Shows the `k` demos whose inputs are nearest to the call's, the nearest last.

    Args:
        k: How many demos a call shows.
        embedder: Turns texts into vectors: an embedder or a function. The default compares character
            n-grams and needs no model.
    """

    def __init__(self, k: int, embedder: Vectorizer | None = None) -> None:
        self.k = whole_number("k", k)
        given = embedder or LexicalEmbedder()
        self.embedder = given if isinstance(given, Embedder | LexicalEmbedder) else Embedder(given)
        self._lock = threading.Lock()
        self._index: tuple[Sequence[Demo], NearestIndex] | None = None

    def choose(self, signature: type[Signature], demos: Sequence[Demo], inputs: Mapping[str, Any]) -> Sequence[int]:
        """Return the indices of the nearest demos."""
        index = self._index
        if index is None or index[0] is not demos:
            with self._lock:
                texts = [_text(signature, demo) for demo in demos]
                index = self._index = (demos, NearestIndex(texts, self.embedder))
        return index[1].nearest(_text(signature, inputs), self.k)

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return {"kind": "nearest", "k": self.k, "embedder": self.embedder.to_json()}

    def __deepcopy__(self, memo: dict[int, Any]) -> NearestDemos:
        return self  # it never changes

    def __repr__(self) -> str:
        return f"NearestDemos({self.k}, {self.embedder!r})"


def selector_from_json(stored: Mapping[str, Any] | None) -> DemoSelector | None:
    """Rebuild a selector from its stored form.

    Raises:
        ValueError: It is of a kind that this version does not know.
    """
    if stored is None:
        return None
    if stored.get("kind") != "nearest":
        raise ValueError(f"unknown kind of demo selector: {stored.get('kind')!r}")
    return NearestDemos(stored["k"], embedder_from_json(stored["embedder"]))


def _text(signature: type[Signature], values: Mapping[str, Any]) -> str:
    return "\n".join(str(values[name]) for name in signature.input_fields if name in values)
