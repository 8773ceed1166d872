"""Stand-ins of tests for LiteLLM's functions, such as `mock.patch("litellm.completion")`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

if TYPE_CHECKING:
    from dspex_core.lm.engines.wire import ModelType

_NAMES: dict[str, tuple[str, ...]] = {
    "chat": ("completion", "acompletion"),
    "text": ("text_completion", "atext_completion"),
    "responses": ("responses", "aresponses"),
    "embedding": ("embedding", "aembedding"),
}


def stand_in(kind: ModelType | Literal["embedding"]) -> Any:
    """Return the current stand-in for LiteLLM's function for a kind of call, or `None`.

    Without LiteLLM loaded, there cannot be a stand-in.
    """
    library = sys.modules.get("litellm")
    if library is None:
        return None
    found = vars(library)
    for name in _NAMES[kind]:
        function = found.get(name)
        if function is not None and not _is_own(function):
            return function
    return None


def mark_of(function: Any) -> str:
    """Return a stand-in's identity for cache keys, so that stand-ins do not share answers."""
    mark: str = vars(function).setdefault("_dspex_mark", uuid4().hex)
    return mark


def _is_own(function: Any) -> bool:
    # A mock with `autospec` claims to be of LiteLLM's module, but has a `mock` attribute.
    return str(getattr(function, "__module__", None)).startswith("litellm.") and "mock" not in vars(function)
