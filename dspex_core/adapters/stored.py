"""The built-in adapters as JSON data, for the state of a predictor that has one. PYTEST_DONT_REWRITE

    {"kind": "JSONAdapter", "shows_types": false, "text_limit": 600}

Options at their defaults are left out. A file can name these adapters and no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from dspex_core.adapters.chat import ChatAdapter
from dspex_core.adapters.json import BAMLAdapter, JSONAdapter
from dspex_core.adapters.xml import XMLAdapter
from dspex_core.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dspex_core.adapters.base import Adapter

_KINDS: Mapping[str, type[Adapter]] = {
    kind.__name__: kind for kind in (ChatAdapter, JSONAdapter, BAMLAdapter, XMLAdapter)
}
_KIND = "kind"
_ASIDE = frozenset({"callbacks", "native_response_types"})
_TAKES: Mapping[str, tuple[type, ...]] = {  # options that take more than `bool`
    "text_limit": (int, type(None)),
    "parallel_tool_calls": (bool, type(None)),
}


def adapter_to_json(adapter: Adapter) -> dict[str, Any] | None:
    """Return the stored form of an adapter; `None` for one that is not built in, or holds an LM."""
    name = type(adapter).__name__
    if _KINDS.get(name) is not type(adapter):
        return None
    own = vars(adapter)
    return {_KIND: name, **{option: own[option] for option, usual in _options(type(adapter)) if own[option] != usual}}


def adapter_from_json(stored: Any) -> Adapter | None:
    """Return the adapter that `adapter_to_json` stored.

    Raises:
        ArtifactError: It is not of that form.
    """
    if stored is None:
        return None
    kind = _KINDS.get(str(stored.get(_KIND))) if isinstance(stored, Mapping) else None
    if kind is None:
        raise ArtifactError(f"the adapter of a predictor is one of {', '.join(_KINDS)}, not {stored!r}")
    given = {name: value for name, value in stored.items() if name != _KIND}
    known = dict(_options(kind))
    wrong = [f"{name}={value!r}" for name, value in given.items() if name not in known or not _fits(name, value)]
    if wrong:
        raise ArtifactError(f"{kind.__name__} does not take {', '.join(wrong)}; its options: {', '.join(known)}")
    return kind(**given)


def _options(kind: type[Adapter]) -> Iterator[tuple[str, Any]]:
    return ((option.name, option.default) for option in fields(kind) if option.name not in _ASIDE)


def _fits(name: str, value: Any) -> bool:
    return type(value) in _TAKES.get(name, (bool,))
