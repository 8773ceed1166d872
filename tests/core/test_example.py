"""Examples and predictions."""

import copy
import pickle

import pytest
from pydantic import BaseModel

from dspex_core import Completions, Example, Prediction


class Contact(BaseModel):
    name: str


def test_fields_read_as_attributes_and_items():
    example = Example({"text": "t"}, label="a")
    assert (example.text, example["label"], example.get("other", 3)) == ("t", "a", 3)
    assert ("text" in example, list(example), len(example)) == (True, ["text", "label"], 2)
    example.label = "b"
    example["more"] = 1
    del example["text"]
    assert example.toDict() == {"label": "b", "more": 1}


def test_a_missing_field_is_named_with_those_there_are():
    with pytest.raises(AttributeError, match="no field 'txt'; it has: text"):
        _ = Example(text="t").txt


def test_inputs_and_labels_part_the_fields():
    example = Example(text="t", label="a", id=4).with_inputs("text")
    assert example.inputs() == Example(text="t")
    assert dict(example.labels()) == {"label": "a", "id": 4}
    assert example.id == "4"


def test_inputs_must_have_been_named():
    with pytest.raises(ValueError, match="with_inputs"):
        Example(text="t").inputs()


def test_copies_keep_inputs_and_change_nothing_in_the_original():
    example = Example(text="t", label="a").with_inputs("text").with_id("row-1")
    changed = example.copy(label="b").without("nothing")
    assert (changed.label, example.label, changed.id) == ("b", "a", "row-1")
    assert changed.input_keys == {"text"}
    for clone in (copy.deepcopy(example), pickle.loads(pickle.dumps(example))):
        assert clone == example
        assert clone.input_keys == {"text"}


def test_equal_records_hash_alike():
    assert hash(Example(a=1, b=[2])) == hash(Example(b=[2], a=1))
    assert Example(a=1) == {"a": 1} != Example(a=2)
    assert Example(a=1) != [("a", 1)]


def test_nested_values_become_plain_data():
    example = Example(contact=Contact(name="Ann"), rows=[Example(a=1)], tags={"x"}, more={1: (2, 3)})
    assert example.toDict() == {"contact": {"name": "Ann"}, "rows": [{"a": 1}], "tags": ["x"], "more": {"1": [2, 3]}}


def test_a_prediction_keeps_all_candidates():
    prediction = Prediction.from_completions([{"answer": "a"}, {"answer": "b"}])
    assert prediction.answer == "a"
    assert prediction.completions.answer == ["a", "b"]
    assert [candidate.answer for candidate in prediction.completions] == ["a", "b"]
    assert (len(prediction.completions), prediction.completions[1].answer) == (2, "b")
    assert prediction.copy().completions["answer"] == ["a", "b"]
    assert Prediction(answer="a").completions.answer == ["a"]


def test_candidates_need_the_same_fields():
    with pytest.raises(ValueError, match="as many candidates"):
        Completions({"a": [1], "b": [1, 2]})
    with pytest.raises(AttributeError, match="'colour'"):
        _ = Completions({"a": [1]}).colour


def test_a_prediction_with_a_score_compares_as_a_number():
    prediction = Prediction(score=0.5)
    assert prediction < 1
    assert prediction >= 0.5
    assert prediction <= 0.5
    assert prediction > 0.25
    assert prediction + 1 == 1 + prediction == 1.5
    assert (prediction / 2, 1 / prediction) == (0.25, 2.0)
    assert sum([prediction, prediction]) == 1.0
    with pytest.raises(TypeError, match="score"):
        float(Prediction(answer="a"))


ODD_NAMES = (
    *(
        "base",
        "self",
        "_id",
        "_input_keys",
        "_store",
        "id",
        "inputs",
        "labels",
        "keys",
        "items",
        "values",
        "get",
        "copy",
    ),
    *("copy", "toDict", "with_inputs", "completions", "score", "data", "", "with space", "__class__", "__dict__"),
)


@pytest.mark.parametrize("kind", [Example, Prediction])
@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("value", ["x", {"x": 1}])
def test_a_column_may_have_any_name(kind, name, value):
    row = {name: value, "other": 1}

    for made in (
        kind(**row),
        kind(row),
        kind(**row).copy(),
        kind().copy(**row),
        pickle.loads(pickle.dumps(kind(**row))),
    ):
        assert made.toDict() == row
        assert made[name] == value


def test_a_column_does_not_hide_what_a_dataset_says_of_a_row():
    example = Example(_id=7, _input_keys=["no"], question="q").with_inputs("question").with_id("row-1")

    assert (example._id, example.id, example.input_keys) == (7, "row-1", {"question"})
    assert example.inputs().toDict() == {"question": "q"}
