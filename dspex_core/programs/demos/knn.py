"""KNN: the training examples whose inputs are nearest to a call's. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.errors.shown import ENDLESS
from dspex_core.flow.steps import Call
from dspex_core.plain.counts import whole_number
from dspex_core.retrievers.embedders import LexicalEmbedder, NearestIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex_core.example import Example
    from dspex_core.retrievers.embedders import Vectorizer


class KNN:
    """Finds training examples by their inputs: `knn(question="...")`.

    Args:
        k: How many examples are found.
        trainset: The examples to find among; `with_inputs` has named their inputs.
        vectorizer: An `Embedder`, or a function from texts to vectors; by default character n-grams are
            compared, without a model.
    """

    def __init__(self, k: int, trainset: Sequence[Example], vectorizer: Vectorizer | None = None) -> None:
        self.k = whole_number("k", k)
        self.trainset = trainset
        self._index = NearestIndex(
            [_text(dict(example.inputs())) for example in trainset], vectorizer or LexicalEmbedder()
        )

    def __call__(self, **inputs: Any) -> list[Example]:
        """Return the `k` examples whose inputs are the most similar to these, the most similar first."""
        nearest = self._index.nearest(_text(inputs), self.k)
        return [self.trainset[position] for position in reversed(nearest)]

    async def acall(self, **inputs: Any) -> list[Example]:
        """Find them without blocking the event loop."""
        found: list[Example] = await Call(self, (), inputs).arun()
        return found


def _text(inputs: dict[str, Any]) -> str:
    return " | ".join(f"{name}: {_written(name, value)}" for name, value in inputs.items())


def _written(name: str, value: Any) -> str:
    try:
        return str(value)
    except RecursionError:
        raise ConfigurationError(f"examples cannot be compared by {name!r}: a value of it {ENDLESS}") from None
