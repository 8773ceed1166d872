"""Hashes of what a case was measured on and with: its row, its test's code, its program, its LM. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dspex_core.plugin_api import code_text
from pytest_dspex.gates.records import digest
from pytest_dspex.running.measures import measure_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_dspex.collecting.case import Case
    from pytest_dspex.running.trace import Made

_SHORT = 12  # characters of a hash
_FIXTURES = ("example", "prediction", "score", "check", "evaluate")  # which are not part of how a test scores
_MEASURES = pytest.StashKey[dict[tuple[Any, ...], tuple[object, str]]]()  # with the metrics, which are kept alive
_KNOWN = pytest.StashKey[dict[int, tuple[object, str]]]()  # by the id of the program or function, which is kept alive


def hashes_of(item: pytest.Item, case: Case, made: Sequence[Made], *, row: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes of a case that has run."""
    values = item.funcargs if isinstance(item, pytest.Function) else {}
    programs = [values[spec.name] for spec in case.programs if spec.name in values]
    return {
        "row": _hash(_json(row)),
        "program": _hash(*(_known(item, program, _program_text) for program in programs)) if programs else "",
        "metric": _measure(item, case) if isinstance(item, pytest.Function) else "",
        "lm": ", ".join(sorted({f"{call.model} {_hash(_json(dict(call.request.config)))[:6]}" for call in made})),
    }


def _measure(item: pytest.Function, case: Case) -> str:
    """Return the hash of what makes the scores of a case, which the cases of one test and dataset share."""
    known = item.config.stash.setdefault(_MEASURES, {})
    metrics = case.source.metrics if case.source is not None else {}
    key = (case.function, *map(id, metrics.values()))
    if key not in known:
        aside = {spec.name for spec in case.programs}.union(_FIXTURES)
        fixtures = {name: value for name, value in item.funcargs.items() if name not in aside}
        texts = measure_texts(item.function, metrics.values(), fixtures=fixtures, data_text=_data_text)
        known[key] = (metrics, _hash(*metrics, *texts))
    return known[key][1]


def _data_text(value: Any) -> str:
    from dspex_core.plugin_api import metric_data  # imported only in sessions with baselines

    try:
        return json.dumps(metric_data(value), sort_keys=True)
    except Exception:  # noqa: BLE001  the values are the user's, and so is the code that shows them
        return type(value).__qualname__


def _known(item: pytest.Item, value: Any, text_of: Callable[[Any], str]) -> str:
    """Return the hash of a program or a function, which all cases of a session share."""
    known = item.config.stash.setdefault(_KNOWN, {})
    if id(value) not in known:
        known[id(value)] = (value, _hash(text_of(value)))
    return known[id(value)][1]


def _hash(*texts: str) -> str:
    return digest(texts)[:_SHORT]


def _json(value: Any) -> str:
    from dspex_core.plugin_api import to_json  # imported only in sessions with baselines

    try:
        return json.dumps(to_json(value), sort_keys=True)
    except Exception:  # noqa: BLE001  the values are the user's, and so is the code that shows them
        return repr(type(value))


def _program_text(program: Any) -> str:
    """Return what makes a program answer as it does: its state, or the code of a function."""
    from dspex_core import Module  # as above

    if isinstance(program, Module):
        return f"{type(program).__qualname__} {_json(program.dump_state())}"
    return code_text(program)
