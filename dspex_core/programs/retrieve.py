"""The retriever that the settings name, and one for tests. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from dspex_core.config import current
from dspex_core.errors import ConfigurationError
from dspex_core.example import Prediction
from dspex_core.lm.dummy_vectors import DummyVectorizer
from dspex_core.plain.attributes import Attributes
from dspex_core.plain.counts import whole_number
from dspex_core.plain.display import value_text
from dspex_core.programs.base import running
from dspex_core.programs.built_in import BuiltIn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dspex_core.config.contracts import Listener
    from dspex_core.flow.steps import Flow


class Retrieve(BuiltIn):
    """Finds passages with `settings.rm`, called as `rm(query, k=k)`.

    That returns a list of texts, or of what has a `long_text`; or a `Prediction` with `passages`, as retrievers do.

    Args:
        k: The number of passages that a call returns.
        callbacks: Receive events of this module's calls, in addition to those in the settings.

    Raises ConfigurationError on a call: The settings have no `rm`, or it returned no passages.
    """

    span_kind = "retrieve"
    name: ClassVar[str] = "Search"
    input_variable: ClassVar[str] = "query"
    desc: ClassVar[str] = "finds passages of a corpus that may answer a search query"

    def __init__(self, k: int = 3, callbacks: Sequence[Listener] | None = None) -> None:
        super().__init__(callbacks)
        self.k = whole_number("k", k)

    def flow(self, query: str, k: int | None = None, **options: Any) -> Flow[Prediction]:
        """Find the passages for a query."""
        rm = current().rm
        if rm is None:
            raise ConfigurationError("no retriever is set: dspex_core.configure(rm=...), or context(rm=...)")
        found = yield from running(rm, query, k=self.k if k is None else k, **options)
        return Prediction(passages=_passages(found))

    def dump_state(self) -> dict[str, Any]:
        """Return `k`."""
        return {"k": self.k}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take `k` over from a dumped state.

        Raises:
            ConfigurationError: It is not a positive whole number.
        """
        self.k = whole_number("k", state.get("k", self.k))

    def reset(self) -> None:
        """Do nothing: no call changes it."""

    def constructor_arguments(self) -> dict[str, Any]:
        """Return `k`."""
        return {"k": self.k}


def dummy_rm(passages: Sequence[str] = ()) -> Callable[..., list[Any]]:
    """Return a retriever for tests, which compares character n-grams: `rm(query, k=...)`, for `settings.rm`."""
    known = list(passages)
    vectorizer = DummyVectorizer(max(map(len, known), default=0) + 100)

    def rm(query: str, *, k: int, **_: Any) -> list[Any]:
        if not 0 < k <= len(known):
            raise ValueError(f"there are {len(known)} passages; k must be from 1 to that, not {k!r}")
        likeness = vectorizer(known) @ vectorizer([query])[0]
        return [Attributes(long_text=known[index]) for index in (-likeness).argsort(kind="stable")[:k]]

    return rm


def _passages(found: Any) -> list[Any]:
    if isinstance(found, Prediction) and "passages" in found:
        return list(found["passages"])
    single = isinstance(found, str | Mapping) or not isinstance(found, Iterable)
    return [_text(passage) for passage in ([found] if single else found)]


def _text(passage: Any) -> Any:
    if isinstance(passage, str):
        return passage
    try:
        return passage["long_text"] if isinstance(passage, Mapping) else passage.long_text
    except (KeyError, AttributeError):
        message = f"settings.rm must return texts, or passages with a long_text, not {value_text(passage, 200)}"
        raise ConfigurationError(message) from None
