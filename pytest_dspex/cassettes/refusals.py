"""Refusals in cassettes: errors that are a model's or a provider's answer to the request. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core import ContextWindowExceededError, LMRefusalError
from dspex_core.plugin_api import masked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core import LMError
    from dspex_core.plugin_api import Json

# Each of them depends on the request alone; other failures may pass, or are of the machine.
_KINDS: dict[str, type[LMError]] = {each.default_code: each for each in (LMRefusalError, ContextWindowExceededError)}
_TEXTS = ("model", "provider", "code", "provider_code")


def refusal_to_json(error: LMError) -> Json | None:
    """Return the stored form of a refusal; `None` for other errors."""
    kind = next((name for name, each in _KINDS.items() if isinstance(error, each)), None)
    if kind is None:
        return None
    known = {
        "message": masked(error.message),
        "model": error.model,
        "provider": error.provider,
        "status": error.status,
        "code": error.code,
        "provider_code": error.provider_code,
    }
    return {"error": {"kind": kind, **{name: value for name, value in known.items() if value is not None}}}


def refusal_from_json(stored: Mapping[str, Any]) -> LMError | None:
    """Return the refusal in an entry's response, or `None` if that is an answer."""
    match stored.get("error"):
        case {"kind": str(kind), "message": str(message), **known} if kind in _KINDS:
            texts: dict[str, Any] = {name: value for name in _TEXTS if isinstance(value := known.get(name), str)}
            status = known.get("status")
            return _KINDS[kind](message, status=status if isinstance(status, int) else None, **texts)
    return None
