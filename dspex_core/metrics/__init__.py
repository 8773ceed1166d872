"""Metrics: how right a prediction is, as a score with feedback. PYTEST_DONT_REWRITE

A name is imported at its first use: most programs need one or two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dspex_core.metrics.agents import trajectory_match
    from dspex_core.metrics.answers import answer_exact_match, answer_passage_match
    from dspex_core.metrics.classification import ClassificationReport, classification_report
    from dspex_core.metrics.combined import all_of, at_least, weighted
    from dspex_core.metrics.confusion import ConfusionMatrix, confusion_matrix
    from dspex_core.metrics.fields import exact_match
    from dspex_core.metrics.generated import bleu, chrf, rouge_l
    from dspex_core.metrics.numbers import number_match
    from dspex_core.metrics.retrieval import mrr, ndcg, precision_at_k, recall_at_k
    from dspex_core.metrics.score import Score
    from dspex_core.metrics.similarity import embedding_similarity
    from dspex_core.metrics.spent import cost, latency, tokens
    from dspex_core.metrics.structured import field_match, json_match, set_f1, set_precision, set_recall
    from dspex_core.metrics.text import contains, f1, fuzzy_match, hotpot_f1, normalized_match, regex_match

__all__ = [
    "ClassificationReport",
    "ConfusionMatrix",
    "Score",
    "all_of",
    "answer_exact_match",
    "answer_passage_match",
    "at_least",
    "bleu",
    "chrf",
    "classification_report",
    "confusion_matrix",
    "contains",
    "cost",
    "embedding_similarity",
    "exact_match",
    "f1",
    "field_match",
    "fuzzy_match",
    "hotpot_f1",
    "json_match",
    "latency",
    "mrr",
    "ndcg",
    "normalized_match",
    "number_match",
    "precision_at_k",
    "recall_at_k",
    "regex_match",
    "rouge_l",
    "set_f1",
    "set_precision",
    "set_recall",
    "tokens",
    "trajectory_match",
    "weighted",
]

_NAMES = {
    "agents": "trajectory_match",
    "answers": "answer_exact_match answer_passage_match",
    "classification": "ClassificationReport classification_report",
    "combined": "all_of at_least weighted",
    "confusion": "ConfusionMatrix confusion_matrix",
    "fields": "exact_match",
    "generated": "bleu chrf rouge_l",
    "numbers": "number_match",
    "retrieval": "mrr ndcg precision_at_k recall_at_k",
    "score": "Score",
    "similarity": "embedding_similarity",
    "spent": "cost latency tokens",
    "structured": "field_match json_match set_f1 set_precision set_recall",
    "text": "contains f1 fuzzy_match hotpot_f1 normalized_match regex_match",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use (PEP 562)."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
