"""Fields with parts: models field by field, JSON as a tree, sets; numbers as people write them."""

import datetime as dt
import enum
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pytest
from pydantic import BaseModel

from dspex_core import Example, Prediction
from dspex_core.errors import ConfigurationError
from dspex_core.metrics import (
    contains,
    exact_match,
    f1,
    field_match,
    hotpot_f1,
    json_match,
    normalized_match,
    number_match,
    regex_match,
    set_f1,
    set_precision,
    set_recall,
)


class Level(enum.IntEnum):
    LOW = 1


class Kind(enum.Enum):
    REFUND = "money back"


class Item(BaseModel):
    name: str
    price: Decimal
    due: dt.date | None = None


class Order(BaseModel):
    items: list[Item]
    kind: Kind


@dataclass
class Point:
    x: int
    y: int


ORDER = Order(items=[Item(name="Pen", price=Decimal("1.50"), due=dt.date(2024, 3, 1))], kind=Kind.REFUND)
ROW = {"items": [{"name": "pen", "price": 1.5, "due": "2024-03-01"}], "kind": "money back"}


def score(metric, expected, predicted):
    return metric(Example(a=expected), Prediction(a=predicted))


@pytest.mark.parametrize(
    ("expected", "predicted", "right"),
    [
        (ROW, ORDER, True),
        ('{"items": [{"name": "Pen", "price": "1.5", "due": "2024-03-01"}], "kind": "REFUND"}', ORDER, True),
        ({**ROW, "kind": "delivery"}, ORDER, False),
        ({"x": 1, "y": 2}, Point(1, 2), True),
        ({"x": 1}, Point(1, 2), False),
        ("refund", Kind.REFUND, True),
        (1, Level.LOW, True),
        ("low", Level.LOW, True),
        (2, Level.LOW, False),
        (["Paris", "2024-03-01"], ["paris", dt.date(2024, 3, 1)], True),
        (["a", "b"], {"b", "A"}, True),
        (["a", "b"], '["a", "b"]', True),
        (['["a"]', "b"], '["a"]', True),
        ([[1, 2], [3]], ((1, 2), (3,)), True),
        ("1,234.50", 1234.5, True),
        ("12 %", 12, False),  # 12 or 0.12
        (0.1, Decimal("0.1"), True),
        (np.array([1, 2]), [1, 2], True),
        (np.float64(3), "3", True),
        (dt.datetime(2024, 3, 1), dt.date(2024, 3, 1), True),  # noqa: DTZ001  a table's column of days
        ("2024-03-01 00:00:00", dt.date(2024, 3, 1), True),
        ("2024-03-01 10:00:00", dt.date(2024, 3, 1), False),
        ({1: "a"}, {"1": "A"}, True),
        (True, False, False),
        ("false", False, True),
    ],
)
def test_values_are_compared_by_their_type_at_any_depth_from_either_side(expected, predicted, right):
    assert score(exact_match("a"), expected, predicted).value == right
    if isinstance(expected, list) == isinstance(predicted, list):
        assert score(exact_match("a"), predicted, expected).value == right


def test_a_class_that_another_process_has_made_again_is_the_same():
    again = enum.Enum("Kind", {"REFUND": "money back"})
    assert score(exact_match("a"), Kind.REFUND, again.REFUND).value == 1


def test_long_values_are_cut_in_feedback():
    feedback = score(exact_match("a"), "x" * 5000, "y").feedback
    assert len(feedback) < 400
    assert feedback.endswith("but is 'y'.")


def test_fields_have_scores_of_their_own_and_missing_and_additional_ones_are_named():
    found = score(
        field_match("a"), {"name": "Ada", "age": 36, "city": "Rome"}, '{"name": "ada", "age": 35, "job": "x"}'
    )
    assert found.value == pytest.approx(1 / 3)
    assert found.details == {"fields": {"name": 1, "age": 0, "city": 0}, "missing": ["city"], "additional": ["job"]}


@pytest.mark.parametrize(
    ("expected", "predicted", "value"),
    [
        (ROW, ORDER, 1),
        ({"a": 1, "b": {"c": [1, 2]}}, {"a": 1, "b": {"c": [2, 1]}}, 1 / 3),
        ({"a": 1, "b": 2}, {"a": 1}, 2 / 3),
        ({"a": 1}, {"a": 1, "b": 2}, 2 / 3),
        ({"a": 1}, {"a": {"b": 1}}, 0),
        ({}, {}, 1),
        ({"a": []}, {"a": []}, 1),
        ({"a": None}, {}, 1),
        ([1, 2, 3], [1, 2], 4 / 5),
        ('[{"a": 1}]', [{"a": "1"}], 1),
        ({"a": 1}, '```json\n{"a": 1}\n```', 1),
        ({"a": 1}, "{'a': 1}", 1),
        ({"a": 1}, '{"a": 1', 0),
        ({"a": 1}, "not JSON", 0),
        ({"a": 1}, None, 0),
        ([{"a": 1}, {"a": 2}], {"a": 2}, 1),  # any of several right answers
    ],
)
def test_a_tree_is_as_right_as_its_leaves(expected, predicted, value):
    assert score(json_match("a"), expected, predicted).value == pytest.approx(value)


def test_a_tree_names_each_difference_by_its_path():
    wanted = {"items": [{"name": "pen", "price": 1}, {"name": "cap", "price": 2}], "total": 3, "note": "x"}
    found = score(json_match("a"), wanted, {"items": [{"name": "pen", "price": 9}], "total": 3, "extra": {"y": 1}})
    assert found.details["fields"] == {"items": pytest.approx(1 / 3), "total": 1, "note": 0, "extra": 0}
    assert found.details["wrong"] == ["items[0].price"]
    assert found.details["missing"] == ["items[1]", "note"]
    assert found.details["additional"] == ["extra"]
    assert found.feedback == (
        "a is wrong in part: items[0].price should be 1 but is 9; items[1] is missing; note is missing; "
        "extra is not expected."
    )


def test_lists_without_an_order_are_paired_so_that_most_is_right():
    wanted, found = [{"a": 1, "b": 2}, {"a": 1, "b": 3}, 5], [5, {"a": 1, "b": 3}, {"a": 0, "b": 2}]
    assert score(json_match("a", ordered=False), wanted, found).value == pytest.approx(4 / 5)
    assert score(json_match("a"), wanted, found).value < 0.5


def test_additional_values_count_unless_they_are_let_pass():
    assert score(json_match("a", additional=False), {"a": 1}, {"a": 1, "b": 2}).value == 1
    assert score(json_match("a", additional=False), {"a": [1]}, {"a": [1, 2]}).value == 1
    assert score(json_match("a", additional=False), {"a": []}, {"a": [1, 2]}).value == 1
    assert score(json_match("a"), {"a": []}, {"a": [1, 2]}).value == 0


def test_sets_are_compared_without_order_repetition_and_case():
    wanted, found = ["Rome", "Paris", 3, "x"], ["paris", "3", "Oslo", "rome", "ROME"]
    assert score(set_precision("a"), wanted, found).value == pytest.approx(3 / 4)
    assert score(set_recall("a"), wanted, found).value == pytest.approx(3 / 4)
    whole = score(set_f1("a"), wanted, found)
    assert whole.value == pytest.approx(3 / 4)
    assert (whole.details["missing"], whole.details["additional"]) == (["x"], ["Oslo"])
    assert whole.feedback == "a lacks 'x' and has 'Oslo' too much."


@pytest.mark.parametrize(
    ("wanted", "found", "value"), [([], [], 1), (None, [], 1), (["a"], None, 0), ('["a"]', {"A"}, 1)]
)
def test_empty_sets_are_equal(wanted, found, value):
    for metric in (set_f1, set_precision, set_recall):
        assert score(metric("a"), wanted, found).value == value


@pytest.mark.parametrize(
    ("expected", "predicted", "right"),
    [
        ("1,234.50", 1234.5, True),
        (0.12, "12 %", True),
        (12, "12%", True),
        ("12%", "0.12%", False),
        ("4/5", "4/10", False),
        (0.8, "4/5", True),
        (3, "$3", True),
        ("$3", "3 USD", True),
        ("$3", "€3", False),
        (5, "5 km", True),
        ("5 km", "5 m", False),
        ("5 KM", "5km.", True),
        (1_500_000, "1.5 million", True),
        (3500, "3.5e3", True),
        (-5, "\N{MINUS SIGN}5", True),
        (25, "25 °C", True),
        (3, "3k", False),
        (3000, "3k", True),
        ("$3M", 3_000_000, True),
        ("3 dollars", "$3", True),
        (0.12, "12 percent", True),
        (12, "12 per cent", True),
        (3, "three", False),
        (3, "e5", False),
        (3, "2-3", False),
        (3, True, False),
        (1, "1e999999", False),
        (None, None, True),
        (3, None, False),
        (None, 3, False),
        (0.3, 0.1 + 0.2, True),
        (1_000_000, 1_000_001, False),
    ],
)
def test_numbers_are_read_as_people_write_them(expected, predicted, right):
    assert score(number_match("a"), expected, predicted).value == right


@pytest.mark.parametrize(
    ("options", "expected", "predicted", "right"),
    [
        ({"abs": 0.5}, 10, 10.5, True),
        ({"abs": 0.5}, 10, 10.51, False),
        ({"rel": 0.1}, 100, "110", True),
        ({"rel": 0.1}, -100, -111, False),
        ({"rel": 0.01, "abs": 5}, 100, 104, True),
        ({"abs": 1}, "12%", "13%", True),
        ({"abs": 0}, 0.3, 0.1 + 0.2, False),
    ],
)
def test_a_tolerance_is_absolute_or_relative_to_the_expected_number(options, expected, predicted, right):
    assert score(number_match("a", **options), expected, predicted).value == right


@pytest.mark.parametrize("options", [{"abs": -1}, {"rel": float("nan")}, {"rel": float("inf")}])
def test_a_tolerance_that_decides_nothing_is_refused(options):
    with pytest.raises(ConfigurationError, match="number_match"):
        number_match("a", **options)


def test_an_example_without_a_number_is_named():
    with pytest.raises(ConfigurationError, match="needs a number in the example, not 'many'"):
        score(number_match("a"), "many", 3)


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("北京大学", 4),
        ("東京タワー", 5),
        ("人々", 2),
        ("กรุงเทพ", 6),
        ("ພາສາ", 4),
        ("ភាសាខ្មែរ", 5),
        ("မြန်မာ", 3),
        ("हिन्दी भाषा", 2),
        ("GPT模型", 3),
        ("서울 시청", 2),
    ],
)
def test_each_character_is_a_word_in_scripts_without_spaces(text, n):
    units = score(f1("a"), text, f"{text} zzz").details["precision"]
    assert units == pytest.approx(n / (n + 1))


def test_normalized_match_forgives_punctuation_of_any_script_and_articles():
    assert score(normalized_match("a"), "The Eiffel Tower", "“Eiffel tower”。").value == 1
    assert score(normalized_match("a"), "Tower Eiffel", "Eiffel Tower").value == 0


@pytest.mark.parametrize(
    ("expected", "predicted", "value"),
    [("yes", "yes indeed", 0), ("Yes.", "yes", 1), ("the cat", "cat", 1), ("a b", "b", 1)],
)
def test_hotpots_f1_takes_yes_and_no_as_right_or_wrong(expected, predicted, value):
    assert score(hotpot_f1("a"), expected, predicted).value == value


def test_contains_finds_parts_of_words_if_it_is_asked_to():
    assert score(contains("a", whole_words=False), "no", "I know").value == 1
    assert score(contains("a"), "no", "I know").value == 0


def test_regular_expressions_are_fixed_or_the_examples_own():
    assert score(regex_match("a", r"\d{3}"), None, "call 555 now").value == 1
    assert score(regex_match("a", r"\d{3}", whole=True), None, "call 555 now").value == 0
    assert regex_match("a", "x")(Example(), Prediction(a="X")).value == 0
    assert score(regex_match("a"), "^ref.nd$", "refund").value == 1
    assert score(regex_match("a"), ["^x", "y$"], "why").value == 1
    with pytest.raises(ConfigurationError, match="regular expression"):
        regex_match("a", "(")


def test_large_sets_of_texts_are_compared_at_once():
    wanted, found = [f"w{n}" for n in range(20_000)], [f"W{n}" for n in range(10_000, 30_000)]
    assert score(set_f1("a"), wanted, found).value == 0.5  # pair by pair it would take minutes
