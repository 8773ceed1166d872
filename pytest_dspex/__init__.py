"""Language-model behaviour tests as pytest cases. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_dspex.cassettes.entry import CassetteError as CassetteError
    from pytest_dspex.cassettes.lm_recorder import CassetteMiss as CassetteMiss
    from pytest_dspex.programs import program as program

__all__ = ["CassetteError", "CassetteMiss", "program"]

_HOMES = {"CassetteError": "cassettes.entry", "CassetteMiss": "cassettes.lm_recorder", "program": "programs"}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that pytest starts fast (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
