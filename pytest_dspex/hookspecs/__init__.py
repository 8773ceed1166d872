"""The hooks that plugins and conftests may implement, and the values that they return. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_dspex.hookspecs.specs import (
    pytest_dspex_gate,
    pytest_dspex_lm,
    pytest_dspex_load_dataset,
    pytest_dspex_metrics,
    pytest_dspex_redact,
    pytest_dspex_report,
)

if TYPE_CHECKING:
    from pytest_dspex.gates.own import GateDecision

__all__ = [
    "GateDecision",
    "pytest_dspex_gate",
    "pytest_dspex_lm",
    "pytest_dspex_load_dataset",
    "pytest_dspex_metrics",
    "pytest_dspex_redact",
    "pytest_dspex_report",
]


def __getattr__(name: str) -> Any:
    """Import the value at its first use: sessions without such a plugin do not need it (PEP 562)."""
    if name != "GateDecision":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pytest_dspex.gates.own import GateDecision

    return GateDecision
