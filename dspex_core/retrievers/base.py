"""The contract of a retriever: one method, `ranked`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

from dspex_core.errors import ConfigurationError
from dspex_core.example import Prediction
from dspex_core.flow.steps import Call, adrive, drive
from dspex_core.plain.counts import whole_number
from dspex_core.plain.display import value_text
from dspex_core.telemetry.spans import span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex_core.flow.steps import Flow


class Retriever(ABC):
    """Finds the passages of a corpus that match a query.

    Copies of a program share its retrievers.

    Args:
        corpus: The passages.
        k: The number of passages that a call returns.
    """

    def __init__(self, corpus: Sequence[str], k: int) -> None:
        self.k = whole_number("k, the number of passages to find,", k)
        if isinstance(corpus, str) or not all(isinstance(passage, str) for passage in corpus):
            raise ConfigurationError(f"a corpus must be a list of texts, not {value_text(corpus, 100)}")
        self.corpus = list(corpus)

    @abstractmethod
    def ranked(self, query: str, k: int) -> list[tuple[int, float]]:
        """Return positions in the corpus and scores of at most `k` passages, the best first."""

    def steps(self, query: str, k: int | None = None) -> Flow[Prediction]:
        """Find passages as part of a flow: `found = yield from retriever.steps(query)`."""
        if not isinstance(query, str):
            raise ConfigurationError(f"a query must be a text, not {value_text(query, 200)}")
        with span("retrieve", {"instance": self, "inputs": {"query": query}}) as attributes:
            found = yield Call(self.ranked, (query, k or self.k))
            indices = [position for position, _ in found]
            prediction = Prediction(
                passages=[self.corpus[position] for position in indices],
                indices=indices,
                scores=[score for _, score in found],
            )
            attributes["result"] = prediction
        return prediction

    def __call__(self, query: str, k: int | None = None) -> Prediction:
        """Return the best matching `passages`, best first, with their `indices` and `scores`."""
        return drive(self.steps(query, k))

    async def acall(self, query: str, k: int | None = None) -> Prediction:
        """Find passages without blocking the event loop."""
        return await adrive(self.steps(query, k))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # a corpus may be large

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.corpus)} passages, k={self.k})"
