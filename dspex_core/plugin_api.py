"""The names that the pytest plugin needs beside those of the root; users do not. PYTEST_DONT_REWRITE

As at the root, a name is imported at its first use: importing this module costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dspex_core.config import REFUSALS_VARIABLE, REPLAY_VARIABLE, current
    from dspex_core.config.contracts import Event, FailureRecorder, LayeredRecorder, Recorder, WorkerRecorder
    from dspex_core.datasets.leaks import overlap
    from dspex_core.datasets.sampling import sample
    from dspex_core.errors.foreign_code import foreign_code, ignore_foreign_warnings
    from dspex_core.evaluation.compare import SIGNIFICANCE, Comparison, compare, compare_scores
    from dspex_core.evaluation.result import EvaluationResult
    from dspex_core.flow.pieces import PIECE, WORK
    from dspex_core.interop.alias import alias_dspy
    from dspex_core.lm.addresses import is_loopback
    from dspex_core.lm.embedded.server import BUILT_IN, SERVER_VARIABLE, serve
    from dspex_core.lm.recorded import past_recorder
    from dspex_core.lm.refused import leave_note, refusal_of, take_notes
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
    from dspex_core.plain.display import error_text, value_text
    from dspex_core.plain.prompt_values import PromptValue
    from dspex_core.plain.secrets import HIDDEN, environment_secrets, is_secret, masked, secret_forms, without_secrets
    from dspex_core.plain.used_code import UsedCode
    from dspex_core.programs.adopting import adopted, adopted_optimizer
    from dspex_core.programs.base import Predictor
    from dspex_core.programs.remote.calling import call_in_worker
    from dspex_core.programs.saving.provenance import changes_since, fingerprint_in
    from dspex_core.programs.saving.saved import ARTIFACT_KIND
    from dspex_core.programs.saving.source import source_of
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
    "REFUSALS_VARIABLE",
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
    "environment_secrets",
    "error_text",
    "fingerprint_in",
    "fingerprint_of",
    "foreign_code",
    "holm",
    "ignore_foreign_warnings",
    "is_loopback",
    "is_secret",
    "keep_prices_local",
    "leave_note",
    "list_price",
    "lm_data",
    "masked",
    "metric_data",
    "metric_name",
    "overlap",
    "part_changes",
    "pass_at_k",
    "pass_pow_k",
    "past_recorder",
    "provenance",
    "provenance_of",
    "read_file",
    "read_json",
    "refusal_of",
    "sample",
    "secret_forms",
    "serve",
    "short_digest",
    "source_of",
    "take_notes",
    "to_json",
    "tree_of",
    "value_text",
    "without_secrets",
    "write_artifact",
    "write_atomically",
    "write_json",
]

# The names above by their modules, for the imports at run time.
_NAMES = {
    "config": "REFUSALS_VARIABLE REPLAY_VARIABLE current",
    "config.contracts": "Event FailureRecorder LayeredRecorder Recorder WorkerRecorder",
    "datasets.leaks": "overlap",
    "datasets.sampling": "sample",
    "errors.foreign_code": "foreign_code ignore_foreign_warnings",
    "evaluation.compare": "Comparison SIGNIFICANCE compare compare_scores",
    "evaluation.result": "EvaluationResult",
    "flow.pieces": "PIECE WORK",
    "interop.alias": "alias_dspy",
    "lm.addresses": "is_loopback",
    "lm.embedded.server": "BUILT_IN SERVER_VARIABLE serve",
    "lm.recorded": "past_recorder",
    "lm.refused": "leave_note refusal_of take_notes",
    "messages": "Json",
    "metrics.score": "as_score metric_name",
    "optimizers.fingerprint": "dataset_data fingerprint_of lm_data metric_data part_changes provenance",
    "optimizers.journal": "CompileJournal",
    "optimizers.plan": "CompilePlan cost_of",
    "plain.code_texts": "code_text tree_of",
    "plain.data": "to_json",
    "plain.described": "short_digest",
    "plain.display": "error_text value_text",
    "plain.prompt_values": "PromptValue",
    "plain.secrets": "HIDDEN environment_secrets is_secret masked secret_forms without_secrets",
    "plain.used_code": "UsedCode",
    "programs.adopting": "adopted adopted_optimizer",
    "programs.base": "Predictor",
    "programs.remote.calling": "call_in_worker",
    "programs.saving.provenance": "changes_since fingerprint_in",
    "programs.saving.saved": "ARTIFACT_KIND",
    "programs.saving.source": "source_of",
    "signatures.fields": "SignatureField",
    "spending.prices": "keep_prices_local list_price",
    "spending.usage": "UsageTracker",
    "stats": "Interval clustered_interval detectable_drop detectable_shift holm pass_at_k pass_pow_k",
    "storage.artifacts": "artifact_state provenance_of read_json write_artifact write_json",
    "storage.files": "read_file write_atomically",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Import a name at its first use."""
    if name not in _HOMES:  # each import of a name asks for `__path__`, too
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"dspex_core.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
