"""Metrics compare values with their texts, words of any script, and lists of right answers."""

import datetime as dt
import enum
import math
from decimal import Decimal

import pytest

from dspex_core import Example, Prediction, contains, exact_match, f1, fuzzy_match


class Kind(enum.Enum):
    DELIVERY = "delivery"
    TWO = 2


def value(metric, expected, predicted):
    return metric("a")(Example(a=expected), Prediction(a=predicted)).value


@pytest.mark.parametrize(
    ("one", "other", "right"),
    [
        ("3", 3, True),
        ("3.0", 3, True),
        ("2.50", Decimal("2.5"), True),
        ("three", 3, False),
        ("2024-03-01", dt.date(2024, 3, 1), True),
        ("2024-03-02", dt.date(2024, 3, 1), False),
        ("2024-03-01 10:00:00", dt.datetime(2024, 3, 1, 10, tzinfo=None), True),  # noqa: DTZ001  one without a zone
        ("10:30", dt.time(10, 30), True),
        ("Delivery", Kind.DELIVERY, True),
        ("DELIVERY", Kind.DELIVERY, True),
        ("2", Kind.TWO, True),
        ("refund", Kind.DELIVERY, False),
        ("True", True, True),
        ("1", True, False),
        ("yes", True, False),
        (math.nan, None, True),
        (math.nan, math.nan, True),
        (math.nan, "nan", False),
        ("['a']", ["a"], False),
    ],
)
def test_a_value_is_its_text_from_either_side(one, other, right):
    assert value(exact_match, one, other) == right
    assert value(exact_match, other, one) == right
    assert value(lambda field: exact_match(field, normalize=False), one, other) == (right and not isinstance(one, str))


@pytest.mark.parametrize("metric", [exact_match, fuzzy_match, contains, f1])
@pytest.mark.parametrize("several", [["Rome", "Paris"], ("Paris",), {"Paris", "Rome"}])
def test_of_a_list_of_right_answers_any_is_right(metric, several):
    assert value(metric, several, "paris") == 1
    assert value(metric, several, "xyz") == 0
    assert "should be one of" in metric("a")(Example(a=several), Prediction(a="xyz")).feedback


def test_lists_on_both_sides_are_compared_as_lists():
    assert value(exact_match, ["a", "b"], ["a", "b"]) == 1
    assert value(exact_match, ["a", "b"], ["a"]) == 0


@pytest.mark.parametrize(
    ("wanted", "said", "right"),
    [
        ("no", "I know", False),
        ("no", "No, thanks", True),
        ("no", "(no)", True),
        ("42", "it is 142", False),
        ("42", "it is 42.", True),
        ("C++", "in C++11", True),
        ("café", "le cafés", False),
        ("北京", "我在北京。", True),
        ("서울", "서울에서", True),
        ("กรุงเทพ", "อยู่กรุงเทพนะ", True),
        (math.nan, "banana", False),
        (Kind.DELIVERY, "a delivery", True),
        (dt.date(2024, 3, 1), "on 2024-03-01", True),
    ],
)
def test_contains_finds_whole_words(wanted, said, right):
    assert value(contains, wanted, said) == right


@pytest.mark.parametrize(
    ("gold", "said", "score"),
    [
        ("Paris", "“Paris”", 1),
        ("don't stop", "don\N{RIGHT SINGLE QUOTATION MARK}t stop", 1),
        ("1914\N{EN DASH}1918", "1914-1918", 1),
        ("¿qué?", "qué", 1),
        ("北京大学", "北京", 2 / 3),
        ("東京", "東京です。", 2 / 3),
        ("A", "a", 1),
        ("A", "", 0),
        ("A", "The", 0),
        ("A", "B", 0),
        ("the cat", "a cat", 1),
        (math.nan, "", 1),
        (math.nan, "nan", 0),
        (3, "3", 1),
    ],
)
def test_f1_knows_the_punctuation_and_the_words_of_any_script(gold, said, score):
    assert value(f1, gold, said) == pytest.approx(score)
    assert value(f1, said, gold) == pytest.approx(score)
