"""The names that the pytest plugin needs beside those of the root; users do not. PYTEST_DONT_REWRITE

As at the root, a name is imported at its first use: importing this module costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dspex_core.config import REPLAY_VARIABLE, current
    from dspex_core.config.contracts import Event, FailureRecorder, LayeredRecorder, Recorder, WorkerRecorder
    from dspex_core.datasets.leaks import overlap
    from dspex_core.datasets.sampling import sample
    from dspex_core.errors.foreign_code import foreign_code, ignore_foreign_warnings
    from dspex_core.evaluation.compare import SIGNIFICANCE, Comparison, compare, compare_scores
    from dspex_core.evaluation.result import EvaluationResult
    from dspex_core.flow.pieces import PIECE
    from dspex_core.flow.threads import WORK
    from dspex_core.interop.alias import alias_dspy
    from dspex_core.lm.addresses import is_loopback
    from dspex_core.lm.embedded.server import BUILT_IN, SERVER_VARIABLE, serve
    from dspex_core.messages import Json
    from dspex_core.metrics.score import as_score, metric_name
    from dspex_core.optimizers.fingerprint import (
        dataset_data,
        fingerprint_of,
        lm_data,
        metric_data,
        part_changes,
        provenance,
    )
    from dspex_core.optimizers.journal import CompileJournal
    from dspex_core.optimizers.plan import CompilePlan, cost_of
    from dspex_core.plain.code_texts import code_text, tree_of
    from dspex_core.plain.data import to_json
    from dspex_core.plain.described import short_digest
    from dspex_core.plain.prompt_values import PromptValue
    from dspex_core.plain.secrets import HIDDEN, is_secret, masked, without_secrets
    from dspex_core.plain.used_code import UsedCode
    from dspex_core.programs.adopting import adopted, adopted_optimizer
    from dspex_core.programs.base import Predictor
    from dspex_core.programs.predict import adapter_for
    from dspex_core.programs.remote.calling import call_in_worker
    from dspex_core.programs.saving.provenance import changes_since, fingerprint_in
    from dspex_core.programs.saving.saved import ARTIFACT_KIND
    from dspex_core.programs.saving.source import source_lines, source_of
    from dspex_core.signatures.fields import SignatureField
    from dspex_core.spending.prices import keep_prices_local, list_price
    from dspex_core.spending.usage import UsageTracker
    from dspex_core.stats import (
        Interval,
        clustered_interval,
        detectable_drop,
        detectable_shift,
        holm,
        pass_at_k,
        pass_pow_k,
    )
    from dspex_core.storage.artifacts import artifact_state, provenance_of, read_json, write_artifact, write_json
    from dspex_core.storage.files import read_file, write_atomically

__all__ = [
    "ARTIFACT_KIND",
    "BUILT_IN",
    "HIDDEN",
    "PIECE",
    "REPLAY_VARIABLE",
    "SERVER_VARIABLE",
    "SIGNIFICANCE",
    "WORK",
    "Comparison",
    "CompileJournal",
    "CompilePlan",
    "EvaluationResult",
    "Event",
    "FailureRecorder",
    "Interval",
    "Json",
    "LayeredRecorder",
    "Predictor",
    "PromptValue",
    "Recorder",
    "SignatureField",
    "UsageTracker",
    "UsedCode",
    "WorkerRecorder",
    "adapter_for",
    "adopted",
    "adopted_optimizer",
    "alias_dspy",
    "artifact_state",
    "as_score",
    "call_in_worker",
    "changes_since",
    "clustered_interval",
    "code_text",
    "compare",
    "compare_scores",
    "cost_of",
    "current",
    "dataset_data",
    "detectable_drop",
    "detectable_shift",
    "fingerprint_in",
    "fingerprint_of",
    "foreign_code",
    "holm",
    "ignore_foreign_warnings",
    "is_loopback",
    "is_secret",
    "keep_prices_local",
    "list_price",
    "lm_data",
    "masked",
    "metric_data",
    "metric_name",
    "overlap",
    "part_changes",
    "pass_at_k",
    "pass_pow_k",
    "provenance",
    "provenance_of",
    "read_file",
    "read_json",
    "sample",
    "serve",
    "short_digest",
    "source_lines",
    "source_of",
    "to_json",
    "tree_of",
    "without_secrets",
    "write_artifact",
    "write_atomically",
    "write_json",
]

_HOMES = {
    "ARTIFACT_KIND": "programs.saving.saved",
    "BUILT_IN": "lm.embedded.server",
    "HIDDEN": "plain.secrets",
    "PIECE": "flow.pieces",
    "REPLAY_VARIABLE": "config",
    "SERVER_VARIABLE": "lm.embedded.server",
    "SIGNIFICANCE": "evaluation.compare",
    "WORK": "flow.threads",
    "Comparison": "evaluation.compare",
    "CompileJournal": "optimizers.journal",
    "CompilePlan": "optimizers.plan",
    "cost_of": "optimizers.plan",
    "EvaluationResult": "evaluation.result",
    "Event": "config.contracts",
    "FailureRecorder": "config.contracts",
    "Interval": "stats",
    "Json": "messages",
    "LayeredRecorder": "config.contracts",
    "Predictor": "programs.base",
    "PromptValue": "plain.prompt_values",
    "Recorder": "config.contracts",
    "UsageTracker": "spending.usage",
    "UsedCode": "plain.used_code",
    "WorkerRecorder": "config.contracts",
    "SignatureField": "signatures.fields",
    "adapter_for": "programs.predict",
    "adopted": "programs.adopting",
    "adopted_optimizer": "programs.adopting",
    "alias_dspy": "interop.alias",
    "artifact_state": "storage.artifacts",
    "as_score": "metrics.score",
    "call_in_worker": "programs.remote.calling",
    "changes_since": "programs.saving.provenance",
    "code_text": "plain.code_texts",
    "compare": "evaluation.compare",
    "compare_scores": "evaluation.compare",
    "current": "config",
    "dataset_data": "optimizers.fingerprint",
    "detectable_drop": "stats",
    "detectable_shift": "stats",
    "fingerprint_in": "programs.saving.provenance",
    "fingerprint_of": "optimizers.fingerprint",
    "foreign_code": "errors.foreign_code",
    "clustered_interval": "stats",
    "holm": "stats",
    "ignore_foreign_warnings": "errors.foreign_code",
    "is_loopback": "lm.addresses",
    "is_secret": "plain.secrets",
    "keep_prices_local": "spending.prices",
    "list_price": "spending.prices",
    "lm_data": "optimizers.fingerprint",
    "masked": "plain.secrets",
    "metric_data": "optimizers.fingerprint",
    "metric_name": "metrics.score",
    "overlap": "datasets.leaks",
    "pass_at_k": "stats",
    "pass_pow_k": "stats",
    "part_changes": "optimizers.fingerprint",
    "provenance": "optimizers.fingerprint",
    "provenance_of": "storage.artifacts",
    "read_file": "storage.files",
    "read_json": "storage.artifacts",
    "sample": "datasets.sampling",
    "serve": "lm.embedded.server",
    "short_digest": "plain.described",
    "source_lines": "programs.saving.source",
    "source_of": "programs.saving.source",
    "to_json": "plain.data",
    "tree_of": "plain.code_texts",
    "without_secrets": "plain.secrets",
    "write_artifact": "storage.artifacts",
    "write_atomically": "storage.files",
    "write_json": "storage.artifacts",
}


def __getattr__(name: str) -> Any:
    """Import a name at its first use."""
    if name not in _HOMES:  # each import of a name asks for `__path__`, too
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"dspex_core.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
