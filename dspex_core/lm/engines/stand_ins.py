"""What tests put in the place of LiteLLM's functions, as `mock.patch("litellm.completion")`. PYTEST_DONT_REWRITE"""

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
    """Return what stands in the place of LiteLLM's function for a kind of call now, or `None`.

    Where LiteLLM is not loaded, nobody has replaced anything.
    """
    library = sys.modules.get("litellm")
    if library is None:
        return None
    found = vars(library)
    return next((found[name] for name in _NAMES[kind] if name in found and not _is_own(found[name])), None)


def mark_of(function: Any) -> str:
    """Return what tells a stand-in apart in cache keys: what one has answered is not another's answer."""
    mark: str = vars(function).setdefault("_dspex_mark", uuid4().hex)
    return mark


def _is_own(function: Any) -> bool:
    # A mock with `autospec` says that it is of LiteLLM's module, but has its mock beside it.
    return str(getattr(function, "__module__", None)).startswith("litellm.") and "mock" not in vars(function)
