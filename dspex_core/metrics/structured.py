"""Metrics of fields that have parts: records field by field, JSON as a tree, sets. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from dspex_core.errors import ConfigurationError
from dspex_core.metrics.comparison import from_written, is_missing, parts, same, unmatched
from dspex_core.metrics.fields import FieldMetric, mismatch, options_text, shown
from dspex_core.metrics.score import Score
from dspex_core.metrics.text import overlap
from dspex_core.metrics.trees import Comparison, compare_trees
from dspex_core.plain.text import normalized

_LISTS = (list, tuple, set, frozenset)
_MOST_NAMED = 8  # differences that feedback names


def field_match(field: str | None = None, *, normalize: bool = True, expected: str | None = None) -> FieldMetric:
    """Make a metric of a structured field: the share of the expected sub-fields that are right.

    Either side may be a dict, a pydantic model, a record or JSON text. Sub-fields are compared as `exact_match` does;
    those that only the prediction has are not judged. `details` has the score of each of the `fields`, and names those
    that are `missing` and `additional`.
    """
    options = options_text(normalize=(normalize, True), expected=(expected, None))
    return FieldMetric("field_match", field, partial(_fields, normalize=normalize), options, expected)


def json_match(
    field: str | None = None,
    *,
    ordered: bool = True,
    additional: bool = True,
    normalize: bool = True,
    expected: str | None = None,
) -> FieldMetric:
    """Make a metric of JSON as a tree: the F1 of the values at its leaves, each at its place.

    Either side may be JSON text, or objects, lists, models and records of any depth. Values are compared as
    `exact_match` does. `details` has the score of each of the `fields` at the top, `precision` and `recall`, and the
    paths that are `wrong`, `missing` and `additional`, such as `items[0].price`.

    Args:
        field: The field of the prediction; by default the only output that the example has a value for.
        ordered: Whether the order of lists counts; otherwise their items are paired so that most is right.
        additional: Whether values that only the prediction has count as wrong.
        normalize: Whether a value is its text, and case and white space do not count.
        expected: The field of the example, if it has another name.
    """
    options = options_text(
        ordered=(ordered, True), additional=(additional, True), normalize=(normalize, True), expected=(expected, None)
    )
    judge = partial(_json, ordered=ordered, additional=additional, normalize=normalize)
    return FieldMetric("json_match", field, judge, options, expected, takes_several=True)


def set_f1(field: str | None = None, *, expected: str | None = None) -> FieldMetric:
    """Make a metric of a field with several values: the F1 of those expected and those predicted.

    Order and repetitions do not count, and values are compared as `exact_match` does. `details` has `precision` and
    `recall`, and the values that are `missing` and `additional`.
    """
    return _of_sets("set_f1", field, expected)


def set_precision(field: str | None = None, *, expected: str | None = None) -> FieldMetric:
    """Make a metric of a field with several values: the share of the predicted ones that are expected."""
    return _of_sets("set_precision", field, expected)


def set_recall(field: str | None = None, *, expected: str | None = None) -> FieldMetric:
    """Make a metric of a field with several values: the share of the expected ones that are predicted."""
    return _of_sets("set_recall", field, expected)


def _fields(expected: Any, predicted: Any, *, normalize: bool) -> Score:
    wanted, found = parts(from_written(expected)), parts(from_written(predicted))
    if not wanted or not isinstance(wanted, Mapping):
        message = f"field_match needs a dict, a model or a record with sub-fields in the example, not {shown(expected)}"
        raise ConfigurationError(message)
    if not isinstance(found, Mapping):
        return Score(0.0, mismatch(expected, predicted), {"fields": dict.fromkeys(map(str, wanted), 0.0)})
    right = {name: same(value, found.get(name), normalize=normalize) for name, value in wanted.items()}
    wrong = [f"{name} {mismatch(wanted[name], found.get(name))}" for name, is_right in right.items() if not is_right]
    details = {
        "fields": {str(name): float(is_right) for name, is_right in right.items()},
        "missing": [str(name) for name in wanted if name not in found],
        "additional": [str(name) for name, value in found.items() if name not in wanted and not is_missing(value)],
    }
    value = 1 - len(wrong) / len(wanted)
    return Score(value, f"is wrong in part: {_listed(wrong, '; ')}" if wrong else "", details)


def _json(expected: Any, predicted: Any, *, ordered: bool, additional: bool, normalize: bool) -> Score:
    wanted, found = parts(from_written(expected)), parts(from_written(predicted))
    judge = partial(_tree, ordered=ordered, additional=additional, normalize=normalize)
    if wanted and isinstance(wanted, _LISTS) and isinstance(found, Mapping):  # several right answers
        return max((judge(parts(from_written(one)), found) for one in wanted), key=float)
    return judge(wanted, found)


def _tree(wanted: Any, found: Any, *, ordered: bool, additional: bool, normalize: bool) -> Score:
    compare = partial(compare_trees, ordered=ordered, normalize=normalize)
    whole = compare(wanted, found)
    score = _of_tree(whole, additional=additional)
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        names = [name for name in {**wanted, **found} if name in wanted or additional]
        each = {str(name): _of_field(compare, wanted, found, name, additional=additional) for name in names}
        return Score(score.value, score.feedback, {"fields": each, **score.details})
    return score


def _of_field(
    compare: Callable[[Any, Any], Comparison], wanted: Any, found: Any, name: Any, *, additional: bool
) -> float:
    if name not in wanted or name not in found:
        return float(is_missing(wanted.get(name)) and is_missing(found.get(name)))
    return _of_tree(compare(wanted[name], found[name]), additional=additional).value


def _of_tree(whole: Comparison, *, additional: bool) -> Score:
    filled = 0 if additional else whole.filled
    found = whole.found if additional else whole.found - whole.only_found
    feedback = [
        *(f"{path} {mismatch(*values)}" for path, values in whole.wrong.items()),
        *(f"{path} is missing" for path in whole.missing),
        *(f"{path} is not expected" for path in whole.additional if additional),
    ]
    wrong = mismatch(*whole.wrong[""]) if "" in whole.wrong else f"is wrong in part: {_listed(feedback, '; ')}"
    score = overlap(whole.shared + filled, whole.wanted, found + filled, lambda: wrong)
    places = {"wrong": [path or "$" for path in whole.wrong], "missing": whole.missing, "additional": whole.additional}
    return Score(score.value, score.feedback, {**score.details, **places})


def _of_sets(name: str, field: str | None, expected: str | None) -> FieldMetric:
    judge = partial(_sets, measure=name.removeprefix("set_"))
    return FieldMetric(name, field, judge, options_text(expected=(expected, None)), expected, takes_several=True)


def _sets(expected: Any, predicted: Any, *, measure: str) -> Score:
    wanted, found = distinct(expected), distinct(predicted)
    missing, additional = without(wanted, found), without(found, wanted)
    feedback = [
        *([f"lacks {_listed(map(shown, missing))}"] if missing else []),
        *([f"has {_listed(map(shown, additional))} too much"] if additional else []),
    ]
    score = overlap(len(wanted) - len(missing), len(wanted), len(found), lambda: " and ".join(feedback))
    named = {"missing": [str(item) for item in missing], "additional": [str(item) for item in additional]}
    return Score(score.details.get(measure, score.value), score.feedback, {**score.details, **named})


def distinct(value: Any) -> list[Any]:
    """Return the different items of a field with several values; one that is not a list is the only one."""
    items = parts(from_written(value))
    if is_missing(items):
        return []
    if not isinstance(items, _LISTS):
        return [value]
    found: dict[Any, Any] = {}
    others: list[Any] = []
    for item in items:
        if isinstance(item, str):
            found.setdefault(normalized(item), item)
        elif not any(same(item, other, normalize=True) for other in others):
            others.append(item)
    return [*found.values(), *without(others, list(found.values()))]


def without(items: list[Any], others: list[Any]) -> list[Any]:
    """Return those of different items that are not among others. Most are texts, which are found at once."""
    known = {normalized(other) for other in others if isinstance(other, str)}
    mine = {normalized(item) for item in items if isinstance(item, str)}
    texts = [item for item in items if isinstance(item, str) and normalized(item) not in known]
    values = [item for item in items if not isinstance(item, str)]
    other_texts = [other for other in others if isinstance(other, str) and normalized(other) not in mine]
    other_values = [other for other in others if not isinstance(other, str)]
    # A text that is left may only be that of a value, such as "3" of 3.
    return [*unmatched(texts, other_values), *unmatched(values, [*other_values, *other_texts])]


def _listed(texts: Any, separator: str = ", ") -> str:
    """Return the first few texts, and how many more there are."""
    found = list(texts)
    more = len(found) - _MOST_NAMED
    return separator.join([*found[:_MOST_NAMED], *([f"and {more} more"] if more > 0 else [])])
