"""Precision, recall and F1 of each class over many cases, as scikit-learn has them."""

import enum
import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspex_core import Evaluate, Example, Prediction, classification_report, exact_match
from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.metrics import ClassificationReport, confusion_matrix

PAIRS = [("refund", "refund"), ("refund", "delivery"), ("delivery", "delivery"), ("refund", "Refund"), ("other", "x")]


class Kind(enum.Enum):
    REFUND = "refund"


def test_each_class_has_its_scores_and_the_matrix_its_cases():
    report = classification_report(PAIRS)
    assert list(report.classes) == ["delivery", "other", "refund", "x"]
    assert report.classes["refund"].recall == pytest.approx(2 / 3)
    assert report.classes["refund"].precision == 1
    assert report.classes["other"].support == 1
    assert report.accuracy == pytest.approx(3 / 5)
    assert report.confusion.expected == ("delivery", "other", "refund")
    assert report.confusion.predicted == ("delivery", "other", "refund", "x")
    assert report.confusion.counts == [[1, 0, 0, 0], [0, 0, 0, 1], [1, 0, 2, 0]]
    assert report.confusion.cells[2][2] == (0, 3)


@settings(max_examples=50)
@given(pairs=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=1, max_size=20))
def test_the_means_are_those_of_scikit_learn(pairs):
    report = classification_report(pairs)
    with foreign_code():
        from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

        wanted, found = zip(*pairs, strict=True)
        assert report.macro_f1 == pytest.approx(f1_score(wanted, found, average="macro", zero_division=0))
        assert report.weighted_f1 == pytest.approx(f1_score(wanted, found, average="weighted", zero_division=0))
        assert report.accuracy == pytest.approx(accuracy_score(wanted, found))
        theirs = confusion_matrix(wanted, found, labels=report.confusion.predicted)
    rows = [report.confusion.predicted.index(label) for label in report.confusion.expected]
    assert report.confusion.counts == theirs[rows].tolist()


def failing(text):
    if text == "bad":
        raise RuntimeError("down")
    return Prediction(reasoning="r", label=text.upper())


def test_a_case_that_failed_counts_as_wrong():
    rows = [
        Example(text=text, label=label).with_inputs("text") for text, label in [("a", "a"), ("bad", "a"), ("b", "b")]
    ]
    result = Evaluate(devset=rows, metric=exact_match("label"), num_threads=1)(failing)
    for report in (classification_report(result), classification_report(result, "label")):
        assert (report.n, report.failed) == (3, 1)
        assert report.classes["a"].recall == 0.5
        assert report.confusion.predicted == ("a", "b", "(no prediction)")
        assert report.accuracy == pytest.approx(2 / 3) == result.mean


def test_values_that_are_one_label_to_exact_match_are_one_class():
    report = classification_report(
        [("refund", Kind.REFUND), (" Refund", "refund"), (1, "1"), (True, "true"), (None, None)]
    )
    assert report.accuracy == 1
    assert len(report.classes) == 4


def test_a_report_is_shown_as_text_and_can_be_stored():
    report = classification_report(PAIRS)
    assert "macro F1 0.367" in str(report)
    assert "expected in rows" in str(report)
    assert ClassificationReport.from_json(json.loads(json.dumps(report.to_json()))) == report
    assert pickle.loads(pickle.dumps(report)) == report
    with pytest.raises(ValueError, match="damaged"):
        ClassificationReport.from_json({"classes": 3})


@pytest.mark.parametrize("source", [[], [("a",)], ["ab"], [3], None, 5])
def test_what_is_not_pairs_is_refused(source):
    with pytest.raises(ConfigurationError, match="classification"):
        classification_report(source)


def test_a_matrix_keeps_the_keys_of_its_cases():
    matrix = confusion_matrix({7: ("a", "b"), 9: ("a", "a")})
    assert matrix.cells == (((9,), (7,)),)
