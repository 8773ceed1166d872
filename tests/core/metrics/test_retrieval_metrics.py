"""Ranked passages against the wanted ones, as scikit-learn and the textbook have it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from dspex_core import Example, Prediction
from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.metrics import mrr, ndcg, precision_at_k, recall_at_k


class Document(BaseModel):
    page_content: str
    id: str | None = None


def value(metric, wanted, found):
    return metric(Example(docs=wanted), Prediction(docs=found)).value


@pytest.mark.parametrize(
    ("metric", "wanted", "found", "expected"),
    [
        (recall_at_k("docs", 2), ["a", "b"], ["a", "x", "b"], 1 / 2),
        (recall_at_k("docs"), ["a", "b"], ["a", "x", "b"], 1),
        (recall_at_k("docs", 5), "a", ["x"], 0),
        (precision_at_k("docs", 3), ["a", "b"], ["a", "x", "b", "c"], 2 / 3),
        (precision_at_k("docs", 5), ["a", "b"], ["a", "b"], 2 / 5),
        (precision_at_k("docs"), ["a", "b"], ["a", "b", "c", "d"], 2 / 4),
        (precision_at_k("docs"), ["a"], [], 0),
        (mrr("docs"), ["b"], ["a", "b", "c"], 1 / 2),
        (mrr("docs", 1), ["b"], ["a", "b"], 0),
        (ndcg("docs"), ["a"], ["a", "b"], 1),
        (ndcg("docs"), ["a"], ["b", "c"], 0),
        (recall_at_k("docs"), ["a", "b"], ["a", "a", "a"], 1 / 2),
        (precision_at_k("docs"), ["a"], ["a", "a"], 1 / 2),
        (recall_at_k("docs"), ["d7"], [{"id": "d7", "text": "Otters swim."}], 1),
        (recall_at_k("docs"), ["otters  SWIM."], [{"id": "d7", "text": "Otters swim."}], 1),
        (recall_at_k("docs"), [{"text": "Otters swim."}], ["Otters swim."], 1),
        (recall_at_k("docs"), ["Otters swim."], [Document(page_content="Otters swim.")], 1),
        (recall_at_k("docs"), [7], ["7"], 1),
        (recall_at_k("docs"), ["a"], '["a", "b"]', 1),
        (recall_at_k("docs"), ["a"], None, 0),
    ],
)
def test_wanted_items_are_found_by_id_or_text(metric, wanted, found, expected):
    assert value(metric, wanted, found) == pytest.approx(expected)


GRADES = st.lists(st.integers(0, 3), min_size=4, max_size=4).filter(any)


@settings(max_examples=40)
@given(ranking=st.permutations(["a", "b", "c", "d"]), grades=GRADES)
def test_ndcg_is_that_of_scikit_learn(ranking, grades):
    relevance = dict(zip("abcd", grades, strict=True))
    with foreign_code():
        from sklearn.metrics import ndcg_score

        theirs = ndcg_score([[relevance[item] for item in ranking]], [[4, 3, 2, 1]])
    assert value(ndcg("docs"), relevance, ranking) == pytest.approx(theirs)


@pytest.mark.parametrize("made", [recall_at_k, precision_at_k, mrr, ndcg])
@settings(max_examples=40)
@given(wanted=st.lists(st.sampled_from("abcdef"), min_size=1, unique=True), found=st.lists(st.sampled_from("abcdef")))
def test_scores_are_shares(made, wanted, found):
    assert 0 <= value(made("docs", 3), wanted, found) <= 1
    if made is not precision_at_k:
        assert value(made("docs"), wanted, wanted) == 1


def test_feedback_names_what_is_missing():
    score = recall_at_k("docs", 3)(Example(docs=["a", "b"]), Prediction(docs=["x", "a"]))
    assert score.feedback == "docs lacks 'b'; the first wanted item is at place 2."
    assert score.details == {"found": 1, "wanted": 2, "missing": ["b"]}
    assert recall_at_k("docs", 3).__name__ == "recall_at_3"


@pytest.mark.parametrize("wanted", [[], None, {"a": 0}, {"a": -1}, {"a": "much"}])
def test_an_example_that_wants_nothing_cannot_be_judged(wanted):
    with pytest.raises(ConfigurationError, match=r"wants no item|must be a number >= 0"):
        value(recall_at_k("docs"), wanted, ["a"])


@pytest.mark.parametrize("k", [0, -1, 2.5, True])
def test_k_is_a_positive_whole_number(k):
    with pytest.raises(ConfigurationError, match="k >= 1"):
        recall_at_k("docs", k)
