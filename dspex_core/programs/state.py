"""What a predictor's stored state must be like. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dspex_core.signature import Signature, SignatureField


def typed(signature: type[Signature], demo: Mapping[str, Any]) -> dict[str, Any]:
    """Give a demo's values, which were stored as JSON, the types that the signature declares."""
    fields = signature.fields
    return {name: _typed(fields[name], value) if name in fields else value for name, value in demo.items()}


def _typed(declared: SignatureField, value: Any) -> Any:
    """Keep what has no type of its own: a tool's description, and an output that the model left out."""
    return value if declared.is_tools or (value is None and not declared.is_input) else declared.validate(value)


def damage(state: Any) -> list[str]:
    """Say which parts of a predictor's state are not of the kind that `dump_state` returns."""
    if not isinstance(state, Mapping):
        return [f"it is no mapping: {state!r}"]
    kinds = {"signature": Mapping, "demos": list | tuple, "demo_selector": Mapping | None, "config": Mapping}
    wrong = [
        f"its {name} cannot be {state[name]!r}"
        for name, kind in kinds.items()
        if name in state and not isinstance(state[name], kind)
    ]
    if wrong:
        return wrong
    return [
        f"demo {n} is no mapping: {d!r}" for n, d in enumerate(state.get("demos", ())) if not isinstance(d, Mapping)
    ]
