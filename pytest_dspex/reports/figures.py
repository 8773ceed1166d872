"""What a page draws of a test's cases: histograms, confusion matrices, repeats. PYTEST_DONT_REWRITE

Cases are named by their places in the suite.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_dspex.reports.document import CaseRow, SuiteRow

_BINS = 10
_MOST_LABELS = 20
_LABEL = (str, bool, int, type(None))
_LONGEST_LABEL = 60


def figures_of(suite: SuiteRow) -> dict[str, Any]:
    """Return the figures of a suite as JSON data."""
    names = dict.fromkeys(name for case in suite.cases for name in case.scores)
    return {
        "histograms": [_histogram(name, suite.cases) for name in names],
        "confusions": _confusions(suite.cases),
        "repeats": _repeats(suite.cases),
    }


def _histogram(score: str, cases: Sequence[CaseRow]) -> dict[str, Any]:
    """Return the places of the cases in ten bins: from 0 to 1 where all values are, else from the lowest value on."""
    values = {
        place: case.scores[score].value or 0.0
        for place, case in enumerate(cases)
        if score in case.scores and case.scores[score].value is not None
    }
    low, high = min([0.0, *values.values()]), max([1.0, *values.values()])
    bins: list[list[int]] = [[] for _ in range(_BINS)]
    for place, value in values.items():
        share = value / (high / 2 - low / 2) / 2 - low / (high / 2 - low / 2) / 2  # `high - low` may be infinite
        bins[min(int(share * _BINS + 1e-9), _BINS - 1)].append(place)
    return {"score": score, "low": low, "high": high, "bins": bins}


def _confusions(cases: Sequence[CaseRow]) -> list[dict[str, Any]]:
    """Return a matrix for each output field whose expected and returned values are a few labels."""
    pairs: dict[str, dict[int, tuple[str, str]]] = {}
    for place, case in enumerate(cases):
        if isinstance(case.got, dict):
            for name in case.expected.keys() & case.got.keys():
                expected, got = case.expected[name], case.got[name]
                if isinstance(expected, _LABEL) and isinstance(got, _LABEL):
                    pairs.setdefault(name, {})[place] = (_label(expected), _label(got))
    fields = dict.fromkeys(name for case in cases for name in case.expected if name in pairs)
    return [_matrix(name, pairs[name]) for name in fields if _has_few_labels(pairs[name])]


def _label(value: Any) -> str:
    return value if isinstance(value, str) else {None: "null", True: "true", False: "false"}.get(value, str(value))


def _has_few_labels(pairs: Mapping[int, tuple[str, str]]) -> bool:
    """Return whether the expected values are labels that come up again, and not free text."""
    expected = Counter(pair[0] for pair in pairs.values())
    labels = {label for pair in pairs.values() for label in pair}
    is_short = all(len(label) <= _LONGEST_LABEL for label in expected)
    return is_short and 1 < len(labels) <= 2 * _MOST_LABELS and len(expected) <= min(_MOST_LABELS, len(pairs) / 2)


def _matrix(field: str, pairs: Mapping[int, tuple[str, str]]) -> dict[str, Any]:
    from dspex_core import confusion_matrix  # imported only for pages that have a matrix

    matrix = confusion_matrix(pairs)
    cells = [list(map(list, row)) for row in matrix.cells]
    return {"field": field, "expected": list(matrix.expected), "got": list(matrix.predicted), "cells": cells}


def _repeats(cases: Sequence[CaseRow]) -> list[dict[str, Any]]:
    """Return the outcomes of each case that runs several times, in the order of its repeats."""
    rows: dict[str, dict[int, int]] = {}
    for place, case in enumerate(cases):
        if case.repeat is not None:
            name = " ".join([case.case, *(f"{key}={value}" for key, value in case.params.items())]).strip()
            rows.setdefault(name, {})[case.repeat] = place
    return [
        {
            "name": name or "test",
            "indices": sorted(places.values()),
            "outcomes": [cases[places[n]].outcome if n in places else "" for n in range(1, max(places) + 1)],
        }
        for name, places in rows.items()
    ]
