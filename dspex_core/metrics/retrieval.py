"""Metrics of a ranked list of passages or ids. PYTEST_DONT_REWRITE

Sources: Manning, Raghavan and Schuetze 2008, chapter 8; nDCG by Jaervelin and Kekaelaeinen 2002.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from dspex_core.errors import ConfigurationError
from dspex_core.example import Record
from dspex_core.metrics.comparison import as_text, from_json_text, is_missing, parts
from dspex_core.metrics.fields import FieldMetric, options_text, shown
from dspex_core.metrics.score import Score
from dspex_core.plain.counts import is_whole
from dspex_core.plain.text import normalized

_KEYS = ("id", "pid", "doc_id", "text", "long_text", "passage", "content", "page_content")
_LISTS = (list, tuple, set, frozenset)


class _Ranking(NamedTuple):
    """What was retrieved.

    Args:
        gains: The relevance of each retrieved item, 0 for one that is not wanted or that came before.
        wanted: The relevance of each wanted item, the highest first.
        missing: The wanted items that were not retrieved.
    """

    gains: Sequence[float]
    wanted: Sequence[float]
    missing: Sequence[str]


def recall_at_k(field: str | None = None, k: int | None = None, *, expected: str | None = None) -> FieldMetric:
    """Make a metric of the share of the wanted items that are among the first `k` retrieved ones.

    The field has the retrieved items, the best first; the example has the wanted ones. Either are ids, texts, or
    records with `id` or `text`; items with the same id or the same text are one. An example that wants nothing is an
    error.

    Args:
        field: The field of the prediction; by default the only output that the example has a value for.
        k: How many of the retrieved items count; by default all.
        expected: The field of the example, if it has another name.
    """
    return _metric("recall", field, k, expected, _recall)


def precision_at_k(field: str | None = None, k: int | None = None, *, expected: str | None = None) -> FieldMetric:
    """Make a metric of how many of `k` places have a wanted item; places that were left empty count as wrong.

    Without `k`, the places are those of the retrieved items. Otherwise it is as `recall_at_k`.
    """
    return _metric("precision", field, k, expected, _precision)


def mrr(field: str | None = None, k: int | None = None, *, expected: str | None = None) -> FieldMetric:
    """Make a metric of 1 divided by the place of the first wanted item, whose mean is the MRR; 0 without one.

    Otherwise it is as `recall_at_k`.
    """
    return _metric("mrr", field, k, expected, _reciprocal_rank)


def ndcg(field: str | None = None, k: int | None = None, *, expected: str | None = None) -> FieldMetric:
    """Make a metric of the normalized discounted cumulative gain.

    The example may give each wanted item its relevance: `{"doc3": 2, "doc7": 1}`; otherwise all have 1. Otherwise it is
    as `recall_at_k`.
    """
    return _metric("ndcg", field, k, expected, _ndcg)


def _metric(
    kind: str, field: str | None, k: int | None, expected: str | None, measure: Callable[[_Ranking, int | None], float]
) -> FieldMetric:
    if k is not None and not is_whole(k, 1):
        raise ConfigurationError(f"{kind}({field!r}) needs k >= 1, not {k!r}")
    name = kind if k is None else f"{kind}_at_{k}"
    options = options_text(k=(k, None), expected=(expected, None))
    return FieldMetric(name, field, partial(_judged, measure=measure, k=k), options, expected, takes_several=True)


def _judged(expected: Any, predicted: Any, *, measure: Callable[[_Ranking, int | None], float], k: int | None) -> Score:
    ranking = _ranked(_wanted(expected), _items(predicted)[:k])
    value = measure(ranking, k)
    details = {"found": sum(gain > 0 for gain in ranking.gains), "wanted": len(ranking.wanted)}
    if value == 1:
        return Score(value, details=details)
    first = next((place for place, gain in enumerate(ranking.gains, 1) if gain), None)
    lacks = f"lacks {shown(ranking.missing[0])}" if ranking.missing else "has the first wanted item late"
    at = f"; the first wanted item is at place {first}" if first else ""
    return Score(value, f"{lacks}{at}", {**details, "missing": list(ranking.missing)})


def _recall(ranking: _Ranking, k: int | None) -> float:  # noqa: ARG001  a measure
    return sum(gain > 0 for gain in ranking.gains) / len(ranking.wanted)


def _precision(ranking: _Ranking, k: int | None) -> float:
    places = k or len(ranking.gains)
    return sum(gain > 0 for gain in ranking.gains) / places if places else 0.0


def _reciprocal_rank(ranking: _Ranking, k: int | None) -> float:  # noqa: ARG001  a measure
    return next((1 / place for place, gain in enumerate(ranking.gains, 1) if gain), 0.0)


def _ndcg(ranking: _Ranking, k: int | None) -> float:
    return min(1.0, _discounted(ranking.gains) / _discounted(ranking.wanted[:k]))


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(place + 1) for place, gain in enumerate(gains, 1))


def _wanted(expected: Any) -> list[tuple[frozenset[str], float, str]]:
    """Return the keys, the relevance and the text of each wanted item, the most relevant first.

    Raises:
        ConfigurationError: Nothing is wanted, or a relevance is not a number above 0.
    """
    given = from_json_text(expected)
    is_graded = isinstance(given, Mapping) and not any(name in given for name in _KEYS)
    graded = list(given.items()) if is_graded else [(item, 1.0) for item in _items(given)]
    found: list[tuple[frozenset[str], float, str]] = []
    for item, grade in graded:
        if not isinstance(grade, int | float) or not 0 <= grade < math.inf:
            raise ConfigurationError(f"the relevance of {item!r} in the example must be a number >= 0, not {grade!r}")
        keys = _keys(item)
        if grade and not any(keys & known for known, _, _ in found):
            found.append((keys, float(grade), _name(item)))
    if not found:
        raise ConfigurationError(f"the example wants no item, so retrieval cannot be judged: {shown(expected)}")
    return sorted(found, key=lambda each: -each[1])


def _ranked(wanted: list[tuple[frozenset[str], float, str]], items: list[Any]) -> _Ranking:
    left = dict(enumerate(wanted))
    gains = []
    for item in items:
        keys = _keys(item)
        place = next((place for place, (known, _, _) in left.items() if known & keys), None)
        gains.append(0.0 if place is None else left.pop(place)[1])
    return _Ranking(gains, [grade for _, grade, _ in wanted], [name for _, _, name in left.values()])


def _items(value: Any) -> list[Any]:
    given = from_json_text(value)
    if is_missing(given):
        return []
    if isinstance(given, Mapping | Record | str):
        return [given]
    items = parts(given)
    return list(items) if isinstance(items, _LISTS) else [given]


def _keys(item: Any) -> frozenset[str]:
    """Return what an item is known by: its ids and its text."""
    fields = parts(item)
    known = [fields[name] for name in _KEYS if name in fields] if isinstance(fields, Mapping) else [item]
    return frozenset(normalized(as_text(value)) for value in known if not is_missing(value))


def _name(item: Any) -> str:
    fields = parts(item)
    known = [fields[name] for name in _KEYS if name in fields] if isinstance(fields, Mapping) else [item]
    return as_text(known[0] if known else item)
