"""The names that the pytest plugin needs beside those of the root; users do not. PYTEST_DONT_REWRITE

As at the root, a name is imported at its first use: importing this module costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dspex_core.config import REPLAY_VARIABLE, current
    from dspex_core.contracts import Event, Recorder
    from dspex_core.datasets.split import overlap
    from dspex_core.evaluation.compare import Comparison, compare
    from dspex_core.lm.embedded.server import BUILT_IN, SERVER_VARIABLE, serve
    from dspex_core.messages import Json
    from dspex_core.metrics.score import as_score
    from dspex_core.plain.data import to_json
    from dspex_core.plain.prompt_values import PromptValue
    from dspex_core.plain.secrets import HIDDEN, is_secret, masked, without_secrets
    from dspex_core.process.foreign_code import foreign_code, ignore_foreign_warnings
    from dspex_core.signatures.fields import SignatureField
    from dspex_core.spending.prices import list_price
    from dspex_core.stats import Interval, mean_interval
    from dspex_core.storage.files import write_atomically

__all__ = [
    "BUILT_IN",
    "HIDDEN",
    "REPLAY_VARIABLE",
    "SERVER_VARIABLE",
    "Comparison",
    "Event",
    "Interval",
    "Json",
    "PromptValue",
    "Recorder",
    "SignatureField",
    "as_score",
    "compare",
    "current",
    "foreign_code",
    "ignore_foreign_warnings",
    "is_secret",
    "list_price",
    "masked",
    "mean_interval",
    "overlap",
    "serve",
    "to_json",
    "without_secrets",
    "write_atomically",
]

_HOMES = {
    "BUILT_IN": "lm.embedded.server",
    "HIDDEN": "plain.secrets",
    "REPLAY_VARIABLE": "config",
    "SERVER_VARIABLE": "lm.embedded.server",
    "Comparison": "evaluation.compare",
    "Event": "contracts",
    "Interval": "stats",
    "Json": "messages",
    "PromptValue": "plain.prompt_values",
    "Recorder": "contracts",
    "SignatureField": "signatures.fields",
    "as_score": "metrics.score",
    "compare": "evaluation.compare",
    "current": "config",
    "foreign_code": "process.foreign_code",
    "ignore_foreign_warnings": "process.foreign_code",
    "is_secret": "plain.secrets",
    "list_price": "spending.prices",
    "masked": "plain.secrets",
    "mean_interval": "stats",
    "overlap": "datasets.split",
    "serve": "lm.embedded.server",
    "to_json": "plain.data",
    "without_secrets": "plain.secrets",
    "write_atomically": "storage.files",
}


def __getattr__(name: str) -> Any:
    """Import a name at its first use."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"dspex_core.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
