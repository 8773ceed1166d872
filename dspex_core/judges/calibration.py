"""calibrate: let a judge score rows that people have labelled, and see how far it agrees. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.errors import DatasetError, JudgeError
from dspex_core.example import Example, Prediction, Record
from dspex_core.flow.steps import adrive, drive
from dspex_core.judges.agreement import Calibration, Labelled
from dspex_core.judges.base import BaseJudge
from dspex_core.judges.material import fields_of, text_of
from dspex_core.judges.pairwise import PairwiseJudge, position_bias
from dspex_core.judges.scale import Scale
from dspex_core.metrics.score import Score, as_score
from dspex_core.plain.counts import is_number
from dspex_core.plain.display import error_text, value_text
from dspex_core.programs.base import running
from dspex_core.programs.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex_core.flow.steps import Flow

_SHARES = Scale(0, 1, is_yes_or_no=True)
_PAIRS = ("second", "tie", "first")
_MOST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Row:
    example: Any
    prediction: Any
    label: Any


def calibrate(
    judge: Callable[..., Any], labelled_rows: Iterable[Any], *, label: str = "label", num_threads: int | None = None
) -> Calibration:
    """Let a judge score rows that people have labelled, and return how far it agrees with them.

    Args:
        judge: The judge, or any other metric with scores from 0 to 1.
        labelled_rows: Examples or mappings, each with its label, and with what is judged in the fields that are not
            inputs; or tuples of an example, a prediction and a label. A label is an answer on the judge's scale; of a
            `PairwiseJudge` it is "first" (the prediction is better), "second" or "tie"; of a judge without a scale it
            is a number from 0 to 1, or yes or no.
        label: The field with the label.
        num_threads: How many rows are judged at once; `settings.num_threads` by default.

    Raises:
        DatasetError: There are no rows, or labels are missing or not on the scale; the message lists them.
        JudgeError: The judge failed on each row. Where it failed on some, these are among the `failures`.
        ParallelError: The budget ran out.
    """
    return drive(_calibrated(judge, labelled_rows, label, num_threads))


async def acalibrate(
    judge: Callable[..., Any], labelled_rows: Iterable[Any], *, label: str = "label", num_threads: int | None = None
) -> Calibration:
    """`calibrate` without blocking the event loop."""
    return await adrive(_calibrated(judge, labelled_rows, label, num_threads))


def _calibrated(
    judge: Callable[..., Any], labelled_rows: Iterable[Any], label: str, num_threads: int | None
) -> Flow[Calibration]:
    rows = [_row(judge, given, label) for given in labelled_rows]
    labels = _labels(judge, rows)
    work = [(row, partial(running, judge, row.example, row.prediction)) for row in rows]
    batch = Batch(num_threads, max_errors=len(work), return_failed_examples=True, disable_progress_bar=True)
    results, _, errors = yield from batch.steps(work)
    failed = [number for number, result in enumerate(results) if result is None]
    failures = tuple((number, error_text(error)) for number, error in zip(failed, errors, strict=True))
    if len(failures) == len(rows):
        raise JudgeError(f"the judge failed on each of the {len(rows)} rows; the first: {failures[0][1]}")
    scored = {number: as_score(result) for number, result in enumerate(results) if result is not None}
    found = {
        number: Labelled(score.value, labels[number], _length(rows[number].prediction))
        for number, score in scored.items()
    }
    scale, names = _scale_of(judge)
    return Calibration(
        names,
        _confusion(scale, list(found.values())),
        tuple(found.values()),
        failures=failures,
        position=position_bias(map(_verdicts, scored.values())) if isinstance(judge, PairwiseJudge) else None,
    )


def _row(judge: Any, given: Any, label: str) -> _Row:
    if isinstance(given, tuple) and len(given) == 3:  # noqa: PLR2004  an example, a prediction, a label
        return _Row(*given)
    if not isinstance(given, Record | Mapping):
        raise DatasetError(
            f"a labelled row is an example, or (example, prediction, label), not {value_text(given, 200)}"
        )
    row = given if isinstance(given, Example) else Example(**fields_of(given))
    apart = {label, *row.input_keys, *([judge.against] if isinstance(judge, PairwiseJudge) else ())}
    made = {name: value for name, value in row.items() if name not in apart}
    return _Row(row.without(label), Prediction(**made), row.get(label))


def _scale_of(judge: Any) -> tuple[Scale, tuple[str, ...]]:
    """Return the scale of the labels, and the names of the answers."""
    if isinstance(judge, PairwiseJudge):
        return Scale(0, 2), _PAIRS
    scale = judge.scale if isinstance(judge, BaseJudge) and judge.scale is not None else _SHARES
    return scale, scale.names


def _labels(judge: Any, rows: list[_Row]) -> list[float]:
    """Return the labels as scores from 0 to 1.

    Raises:
        DatasetError: There are none, or some are not on the scale.
    """
    if not rows:
        raise DatasetError("a calibration needs labelled rows; there are none")
    labels, bad = [], []
    for number, row in enumerate(rows):
        try:
            labels.append(_value(judge, row.label))
        except ValueError as error:
            bad.append(f"row {number}: {error}")
    if bad:
        more = f" (and {len(bad) - _MOST_SHOWN} more)" if len(bad) > _MOST_SHOWN else ""
        raise DatasetError(f"labels that cannot be used: {'; '.join(bad[:_MOST_SHOWN])}{more}")
    return labels


def _value(judge: Any, label: Any) -> float:
    if label is None:
        raise ValueError("the label is missing")
    scale, names = _scale_of(judge)
    if isinstance(judge, PairwiseJudge):
        if label not in names:
            raise ValueError(f"{label!r} is not one of: {', '.join(names)}")
        return scale.levels[names.index(label)]
    return float(label) if scale is _SHARES and is_number(label) and 0 <= label <= 1 else scale.value(label)


def _confusion(scale: Scale, rows: list[Labelled]) -> tuple[tuple[int, ...], ...]:
    places = range(len(scale.levels))
    pairs = [(scale.nearest(row.label), scale.nearest(row.judged)) for row in rows]
    return tuple(tuple(pairs.count((person, judge)) for judge in places) for person in places)


def _length(prediction: Any) -> int:
    return sum(len(text_of(value)) for value in fields_of(prediction).values())


def _verdicts(score: Score) -> Any:
    return score.details["verdicts"]
