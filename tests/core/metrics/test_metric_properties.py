"""What holds for every metric: identity, symmetry, bounds, permutations, names and travel to other processes."""

import contextlib
import itertools
import pickle
from dataclasses import fields
from decimal import Decimal

import cloudpickle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspex_core import Example, LexicalEmbedder, Prediction
from dspex_core.errors import ConfigurationError
from dspex_core.metrics import (
    all_of,
    at_least,
    bleu,
    chrf,
    contains,
    embedding_similarity,
    exact_match,
    f1,
    field_match,
    fuzzy_match,
    hotpot_f1,
    json_match,
    latency,
    mrr,
    ndcg,
    normalized_match,
    number_match,
    precision_at_k,
    recall_at_k,
    regex_match,
    rouge_l,
    set_f1,
    set_precision,
    set_recall,
    trajectory_match,
    weighted,
)

TEXTS = [exact_match, normalized_match, fuzzy_match, f1, hotpot_f1, rouge_l, set_f1, json_match]
ASYMMETRIC = [bleu, chrf, contains, set_precision, set_recall]
LISTS = [set_f1, lambda field: json_match(field, ordered=False)]
FINITE = {"allow_nan": False, "allow_infinity": False}
NUMBERS = st.floats(**FINITE) | st.integers() | st.decimals(**FINITE)
NAMED = [exact_match, f1, contains, fuzzy_match, json_match, set_f1, mrr, rouge_l, normalized_match]
ALL = [
    *(
        metric("a")
        for metric in [*TEXTS, *ASYMMETRIC, field_match, number_match, recall_at_k, precision_at_k, mrr, ndcg]
    ),
    recall_at_k("a", 3),
    regex_match("a"),
    regex_match("a", "x+"),
    embedding_similarity("a", LexicalEmbedder()),
    trajectory_match("a"),
    trajectory_match("a", order="superset", args=fuzzy_match("q")),
    all_of(exact_match("a"), f1("a")),
    weighted((exact_match("a"), 3), (f1("a"), 1)),
    at_least(f1("a"), 0.5),
    latency(2),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("abA ", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


ODD = [
    None,
    "",
    "\ud800",
    float("nan"),
    10**400,
    np.float64(1.5),
    np.arange(2),
    b"\xff",
    {1: {2}},
    [],
    len,
    1j,
    Decimal("NaN"),
]


def score(metric, expected, predicted):
    return metric(Example(a=expected), Prediction(a=predicted))


@pytest.mark.parametrize("metric", [*TEXTS, *ASYMMETRIC], ids=lambda metric: metric.__name__)
@settings(max_examples=40)
@given(text=st.text(max_size=25))
def test_a_text_is_itself(metric, text):
    assert score(metric("a"), text, text).value == 1


@pytest.mark.parametrize("metric", TEXTS, ids=lambda metric: metric.__name__)
@settings(max_examples=40)
@given(one=st.text("aB é京.,", max_size=8), other=st.text("aB é京.,", max_size=8))
def test_the_order_of_two_texts_does_not_matter_and_scores_are_shares(metric, one, other):
    value = score(metric("a"), one, other).value
    assert 0 <= value <= 1
    assert value == pytest.approx(score(metric("a"), other, one).value)


@pytest.mark.parametrize("metric", ASYMMETRIC, ids=lambda metric: metric.__name__)
@settings(max_examples=40)
@given(one=st.text("aB é京.,", max_size=8), other=st.text("aB é京.,", max_size=8))
def test_scores_are_shares(metric, one, other):
    assert 0 <= score(metric("a"), one, other).value <= 1


@pytest.mark.parametrize("metric", LISTS)
@settings(max_examples=40)
@given(one=st.lists(JSON, max_size=4), other=st.lists(JSON, max_size=4), random=st.randoms(use_true_random=False))
def test_the_order_of_items_does_not_matter_where_it_does_not_count(metric, one, other, random):
    value = score(metric("a"), one, other).value
    assert 0 <= value <= 1
    shuffled, shuffled_other = random.sample(one, len(one)), random.sample(other, len(other))
    assert score(metric("a"), shuffled, shuffled_other).value == pytest.approx(value)
    assert score(metric("a"), one, shuffled if one else []).value == 1


@settings(max_examples=40)
@given(tree=JSON, other=JSON)
def test_json_is_itself_and_the_order_of_two_trees_does_not_matter(tree, other):
    assert score(json_match("a"), tree, tree).value == 1
    assert score(exact_match("a"), tree, tree).value == 1
    if not isinstance(tree, list) and not isinstance(other, list):  # a list may be one of right answers
        assert score(json_match("a"), tree, other).value == pytest.approx(score(json_match("a"), other, tree).value)


@settings(max_examples=40)
@given(number=NUMBERS)
def test_a_number_is_itself_and_its_text(number):
    assert score(number_match("a"), number, number).value == 1
    assert score(number_match("a"), number, str(number)).value == 1
    assert score(exact_match("a"), number, str(number)).value == 1


@pytest.mark.parametrize("metric", ALL, ids=repr)
def test_metrics_travel_to_other_processes_and_say_what_they_are(metric):
    clone = cloudpickle.loads(cloudpickle.dumps(metric))
    assert repr(clone) == repr(metric)
    assert clone.__name__ == metric.__name__
    assert not any(character.isspace() for character in metric.__name__)  # gates are written with it
    assert repr(pickle.loads(pickle.dumps(metric))) == repr(metric)
    with pytest.raises(AttributeError):
        setattr(metric, fields(metric)[0].name, "other")


@pytest.mark.parametrize("metric", [each for each in ALL if "latency" not in repr(each)], ids=repr)
def test_an_odd_value_has_a_score_or_is_refused(metric):
    for expected, predicted in itertools.product(ODD, ODD):
        with contextlib.suppress(ConfigurationError):
            assert 0 <= float(score(metric, expected, predicted)) <= 1


@pytest.mark.parametrize("metric", [each for each in ALL if "latency" not in repr(each)], ids=repr)
def test_a_missing_field_is_one_message_with_the_fields_there_are(metric):
    with pytest.raises(ConfigurationError, match="needs the field 'a', which the prediction lacks; it has: 'b'"):
        metric(Example(a="a"), Prediction(b="x"))
    if repr(metric) != "regex_match('a', pattern='x+')":
        with pytest.raises(ConfigurationError, match="needs the field 'a', which the example lacks; it has: 'c'"):
            metric(Example(c="a"), Prediction(a="x"))


@pytest.mark.parametrize("made", NAMED)
def test_without_a_field_the_only_output_is_compared(made):
    row = Example(question="What?", answer="Paris").with_inputs("question")
    assert made()(row, Prediction(reasoning="It is known.", answer="Paris")).value == 1
    assert made()(row, {"answer": "Paris"}).value == 1
    assert made()(row, "Paris").value == 1
    assert made(expected="answer")(row, Prediction(city="Paris")).value == 1


@pytest.mark.parametrize(
    ("row", "returned"),
    [
        (Example(q="x", a="1", b="2").with_inputs("q"), Prediction(a="1", b="2")),
        (Example(q="x", a="1").with_inputs("q"), Prediction(c="1")),
        (Example(q="x", a="1", b="2").with_inputs("q"), "1"),
    ],
)
def test_without_a_field_several_outputs_or_none_are_one_message(row, returned):
    with pytest.raises(ConfigurationError, match=r"exact_match\(\) judges the only output field.*name the field"):
        exact_match()(row, returned)
