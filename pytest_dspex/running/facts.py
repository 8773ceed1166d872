"""The content of a case for its reports: row, prediction and LM calls, as JSON data of a bounded size.

The inputs, the prediction and the calls of a case are the user's, of any type and size, and all of them may travel from
an xdist worker to the controller. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dspex_core import Example, Prediction
from pytest_dspex.collecting.case import CASE, labels_of
from pytest_dspex.collecting.parametrize import row_of
from pytest_dspex.gates.records import CaseFacts, CaseReport
from pytest_dspex.gates.settings import gate_settings
from pytest_dspex.keys import DETAILED
from pytest_dspex.running.subject import subject_of
from pytest_dspex.running.trace import cut, shown_call, spent_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_dspex.collecting.case import Case
    from pytest_dspex.gates.records import RecordedScore
    from pytest_dspex.running.trace import Made

_BRIEF, _FULL = 2_000, 20_000  # characters of a row or a prediction: for the terminal, and for a report of all cases
_FEWEST = 40  # characters that each of many fields keeps
_MOST_ENTRIES = 50  # of a list or a dict
_MOST_CALLS = 50
_LARGEST = 1 << 256  # a whole number beyond it is shown as a text


def facts_of(item: pytest.Item, made: Sequence[Made], *, has_passed: bool) -> CaseFacts:
    """Return the content of a case that has run, or failed before its call."""
    is_detailed = item.config.stash.get(DETAILED, False)
    most = _FULL if is_detailed else _BRIEF
    values = item.funcargs if isinstance(item, pytest.Function) else {}
    row = item.stash[CASE].example
    inputs, expected = _split_row(row)
    fields = {**inputs, **expected}
    return CaseFacts(
        inputs=_bounded_fields(inputs, most),
        expected=_bounded_fields(expected, most),
        prediction=_prediction(values.get("prediction"), most),
        params=labels_of(item),
        repeat=item.stash[CASE].repeated or None,
        row_id=_row_id(item, row),
        columns=_columns(item, fields),
        spent=spent_by(made, has_prices=is_detailed or "cost" in item.stash[CASE].gated),
        calls=tuple(shown_call(each, most=most) for each in made[:_MOST_CALLS])
        if is_detailed or not has_passed
        else (),
        hashes=_hashes(item, made, fields),
        uncalled=subject_of(item) if has_passed and not made else "",
    )


def inputs_of(example: Example) -> dict[str, Any]:
    """Return the inputs of a row as a report of all cases has them."""
    return _bounded_fields(_split_row(example)[0], _FULL)


def report_of(case: Case, *, is_first: bool) -> CaseReport:
    """Return the results of a case so far; the first case of a function has the facts of all its cases, too."""
    return CaseReport(
        function=case.function,
        case=case.name,
        place=case.place,
        attempt=case.repeated or max(case.attempt, 1),
        is_error=case.error,
        is_missed=case.is_missed,
        scores={name: _bounded_score(score) for name, score in case.scores.items()},
        evaluations=tuple(case.evaluations),
        collected=case.collected if is_first else None,
        facts=case.facts or CaseFacts(),
    )


def bounded(value: Any, most: int) -> Any:
    """Return any value as JSON data whose texts have about so many characters at most."""
    if type(value) is str:  # as most are
        return cut(value, most)
    return _cut(_plain(value), _Room(most))


def _bounded_score(score: RecordedScore) -> RecordedScore:
    return score._replace(details=bounded(score.details, _FULL)) if score.details else score


class _Room:
    """How many characters are left."""

    __slots__ = ("left",)

    def __init__(self, characters: int) -> None:
        self.left = characters


def _columns(item: pytest.Item, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that gates name, whole: of two long texts, each is a slice of its own."""
    collected = item.stash[CASE].collected
    return {name: _plain(row[name]) for name in (collected.columns if collected is not None else ()) if name in row}


def _row_id(item: pytest.Item, example: Any) -> str:
    """Return the id of a dataset's row, in which the dataset's name stands if there are several."""
    row = row_of(item) if isinstance(item, pytest.Function) else None
    if row is not None:
        return row.id
    return "" if example is None or example.id is None else str(example.id)


def _hashes(item: pytest.Item, made: Sequence[Made], row: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes that a baseline needs, if this session reads or writes one."""
    case = item.stash[CASE]
    gates = case.collected.gates if case.collected is not None else ()
    if not (gate_settings(item.config).updates or any(gate.is_paired for gate in gates)):
        return {}
    from pytest_dspex.running.hashes import hashes_of  # imported only in sessions with baselines

    return hashes_of(item, case, made, row=row)


def _split_row(example: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the inputs and the other fields of a dataset row; the `example` of a test's own may be anything."""
    if not isinstance(example, Example):
        return {}, {}
    fields, inputs = dict(example.items()), example.input_keys
    rest = {name: value for name, value in fields.items() if name not in inputs}
    return {name: value for name, value in fields.items() if name in inputs}, rest


def _prediction(prediction: Any, most: int) -> Any:
    if isinstance(prediction, Prediction):
        return _bounded_fields(dict(prediction.items()), most)
    return None if prediction is None else bounded(prediction, most)


def _bounded_fields(fields: Mapping[str, Any], most: int) -> dict[str, Any]:
    """Return fields of which each has the same room, so that a long one does not displace the others."""
    names = list(fields)[:_MOST_ENTRIES]
    share = max(most // max(len(names), 1), _FEWEST)
    return {cut(str(name), share): bounded(fields[name], share) for name in names}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    from dspex_core.plugin_api import to_json  # imported only for values that are not JSON data yet

    try:
        return to_json(value)
    except Exception as error:  # noqa: BLE001  the values are the user's, and so is the code that shows them
        return f"<{type(value).__name__}, which cannot be shown: {type(error).__name__}>"


def _cut(value: Any, room: _Room) -> Any:
    if isinstance(value, str):
        kept = cut(value, max(room.left, 0))
        room.left -= len(kept)
        return str(kept)  # a subclass may have a JSON form of its own
    if isinstance(value, dict):
        kept_items = {str(_cut(str(name), room)): _cut(inner, room) for name, inner in _within(value.items(), room)}
        return (
            kept_items if len(kept_items) == len(value) else {**kept_items, "...": f"+{len(value) - len(kept_items)}"}
        )
    if isinstance(value, list):
        kept_values = [_cut(inner, room) for inner in _within(value, room)]
        rest = len(value) - len(kept_values)
        return kept_values if not rest else [*kept_values, f"... (+{rest})"]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _LARGEST:
        return f"a whole number of {value.bit_length()} bits"
    room.left -= 8
    return value


def _within(values: Iterable[Any], room: _Room) -> Iterable[Any]:
    """Yield the first values, while there is room."""
    for place, value in enumerate(values):
        if place == _MOST_ENTRIES or room.left <= 0:
            return
        yield value
