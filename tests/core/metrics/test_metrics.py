import copy
import math
import pickle
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from dspex_core.errors import ConfigurationError
from dspex_core.example import Example, Prediction
from dspex_core.metrics.fields import exact_match
from dspex_core.metrics.score import Score, as_score
from dspex_core.metrics.structured import field_match
from dspex_core.metrics.text import contains, f1, fuzzy_match

TEXT_METRICS = [exact_match("answer"), fuzzy_match("answer"), contains("answer"), f1("answer")]


def judge(metric, expected, predicted):
    return metric(Example(answer=expected), Prediction(answer=predicted))


class TestScore:
    def test_is_a_number_and_a_condition(self):
        assert float(Score(0.5)) == 0.5
        assert Score(0.5)
        assert not Score(0.0, "should be 3")

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_must_be_finite(self, value):
        with pytest.raises(ValueError, match="a score must be a finite number"):
            Score(value)


class TestAsScore:
    @pytest.mark.parametrize(
        ("result", "value"),
        [
            (True, 1.0),
            (False, 0.0),
            (1, 1.0),
            (0.25, 0.25),
            (-2, -2.0),
            (np.float32(0.5), 0.5),
            (np.bool_(True), 1.0),  # noqa: FBT003  numpy's own type is the point
            (np.array(0.75), 0.75),
        ],
    )
    def test_takes_numbers_of_any_kind(self, result, value):
        assert as_score(result) == Score(value)
        assert type(as_score(result).value) is float

    def test_keeps_a_score(self):
        score = Score(0.5, "half right")

        assert as_score(score) is score

    def test_takes_score_and_feedback_of_a_prediction(self):
        assert as_score(Prediction(score=True, feedback="well done")) == Score(1.0, "well done")
        assert as_score(Prediction(score=0.5)) == Score(0.5)
        assert as_score(Prediction(score=0.5, feedback=None)) == Score(0.5)

    def test_takes_a_score_inside_a_prediction(self):
        assert as_score(Prediction(score=Score(0.5, "half"))) == Score(0.5, "half")

    @pytest.mark.parametrize(
        "result",
        [
            None,
            "0.5",
            b"1",
            "yes",
            math.nan,
            -math.inf,
            10**400,
            [1.0],
            {"score": 1.0},
            (0.5, "feedback"),
            Prediction(answer="x"),
            Prediction(score=None),
        ],
    )
    def test_refuses_what_is_no_number_and_names_its_type(self, result):
        shown = result["score"] if isinstance(result, Prediction) and "score" in result else result

        with pytest.raises(ValueError, match=rf"a metric must return a finite number.*\({type(shown).__name__}\)"):
            as_score(result)

    def test_shows_what_was_returned(self):
        with pytest.raises(ValueError, match=r"not 'mostly right' \(str\)"):
            as_score("mostly right")


class TestExactMatch:
    @pytest.mark.parametrize(
        ("expected", "predicted"),
        [
            ("positive", " Positive\n"),
            ("two  words", "two\twords"),
            ("Straße", "STRASSE"),
            (unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")),
            (3, 3.0),
            (None, None),
            (["a", "b"], ["a", "b"]),
        ],
    )
    def test_passes_equal_values(self, expected, predicted):
        assert judge(exact_match("answer"), expected, predicted) == Score(1.0)

    @pytest.mark.parametrize(
        ("expected", "predicted"), [("yes", "yes."), ("4", 3), (3, 4), (None, ""), (["a"], ["b"]), ("a b", "ab")]
    )
    def test_says_what_differs(self, expected, predicted):
        assert judge(exact_match("answer"), expected, predicted) == Score(
            0.0, f"answer should be {expected!r} but is {predicted!r}."
        )

    def test_without_normalizing_compares_byte_by_byte(self):
        metric = exact_match("answer", normalize=False)

        assert judge(metric, "Yes", "Yes")
        assert not judge(metric, "Yes", "yes")
        assert not judge(metric, "Yes", "Yes ")


class TestFuzzyMatch:
    def test_passes_small_slips(self):
        assert judge(fuzzy_match("answer"), "Software Engineer", "software engineeer").value == 1

    def test_says_how_similar_a_miss_is(self):
        score = judge(fuzzy_match("answer"), "nurse", "pilot")

        feedback = "answer should be 'nurse' but is 'pilot' (similarity 0.00)."
        assert score == Score(0.0, feedback, {"similarity": 0.0})

    def test_similarity_must_be_above_the_threshold(self):
        # Jaro("martha", "marhta") = 17/18, the textbook value
        assert judge(fuzzy_match("answer", threshold=0.944), "martha", "marhta")
        assert not judge(fuzzy_match("answer", threshold=0.945), "martha", "marhta")

    @pytest.mark.parametrize("threshold", [-0.1, 1, 80])
    def test_refuses_a_threshold_that_decides_nothing(self, threshold):
        with pytest.raises(ConfigurationError, match="0 <= threshold < 1"):
            fuzzy_match("answer", threshold=threshold)


class TestContains:
    def test_finds_the_expected_text_anywhere(self):
        assert judge(contains("answer"), "Paris", "The capital is  PARIS, of course.") == Score(1.0)

    def test_says_what_is_not_there(self):
        assert judge(contains("answer"), "Paris", "Rome") == Score(0.0, "answer should contain 'Paris' but is 'Rome'.")

    def test_an_empty_expectation_is_met_by_an_empty_text_only(self):
        assert judge(contains("answer"), " ", "")
        assert not judge(contains("answer"), "", "anything")

    def test_no_text_holds_nothing(self):
        assert not judge(contains("answer"), "None", None)

    def test_takes_numbers_as_texts(self):
        assert judge(contains("answer"), 42, "it is 42")


class TestF1:
    @pytest.mark.parametrize(
        ("expected", "predicted", "value"),
        [
            ("the Eiffel Tower", "Eiffel tower.", 1.0),
            ("Eiffel Tower", "Tower", 2 / 3),
            ("b b c", "b b", 4 / 5),
            ("x x y", "x y y", 2 / 3),
            ("Rome", "Paris", 0.0),
            ("", "the", 1.0),
            ("", "Paris", 0.0),
        ],
    )
    def test_is_squads(self, expected, predicted, value):
        assert judge(f1("answer"), expected, predicted).value == pytest.approx(value)

    def test_gives_feedback_unless_all_words_are_right(self):
        assert judge(f1("answer"), "Eiffel Tower", "tower eiffel").feedback == ""
        assert judge(f1("answer"), "Rome", "old Rome").feedback == "answer should be 'Rome' but is 'old Rome'."

    @given(st.text(max_size=30), st.text(max_size=30))
    def test_is_a_share_and_treats_both_sides_alike(self, one, other):
        value = judge(f1("answer"), one, other).value

        assert 0 <= value <= 1
        assert value == judge(f1("answer"), other, one).value


class Contact(BaseModel):
    name: str
    age: int | None = None
    occupation: str | None = None


class TestFieldMatch:
    EXPECTED = {"name": "Ada Lovelace", "age": 36, "occupation": "mathematician"}  # noqa: RUF012  never changed

    @pytest.mark.parametrize(
        ("expected", "predicted"),
        [
            (EXPECTED, Contact(name="ada lovelace", age=36, occupation="Mathematician")),
            (Contact(**EXPECTED), EXPECTED),
            (Example(EXPECTED), Prediction(EXPECTED)),
            ({"name": "Ada", "age": None}, {"name": "Ada"}),
            ({"name": "Ada"}, {"name": "Ada", "age": 36}),
        ],
    )
    def test_is_1_where_all_expected_sub_fields_are_right(self, expected, predicted):
        score = judge(field_match("answer"), expected, predicted)
        assert (score.value, score.feedback) == (1, "")

    def test_is_the_share_that_is_right_and_names_the_rest(self):
        score = judge(field_match("answer"), self.EXPECTED, Contact(name="Ada Lovelace", age=63))

        assert score.value == pytest.approx(1 / 3)
        assert score.feedback == (
            "answer is wrong in part: age should be 36 but is 63; occupation should be 'mathematician' but is None."
        )

    def test_is_0_where_nothing_structured_was_predicted(self):
        assert judge(field_match("answer"), {"name": "Ada"}, None).value == 0

    def test_without_normalizing_case_counts(self):
        assert judge(field_match("answer", normalize=False), {"name": "Ada"}, {"name": "ada"}).value == 0

    @pytest.mark.parametrize("expected", ["Ada", {}, None])
    def test_refuses_an_example_without_sub_fields(self, expected):
        with pytest.raises(ConfigurationError, match="with sub-fields in the example"):
            judge(field_match("answer"), expected, {"name": "Ada"})


class TestFieldMetrics:
    @pytest.mark.parametrize(
        ("metric", "name", "shown"),
        [
            (exact_match("label"), "exact_match", "exact_match('label')"),
            (exact_match("label", normalize=False), "exact_match", "exact_match('label', normalize=False)"),
            (fuzzy_match("label", threshold=0.5), "fuzzy_match", "fuzzy_match('label', threshold=0.5)"),
            (contains("label"), "contains", "contains('label')"),
            (f1("label"), "f1", "f1('label')"),
            (field_match("label"), "field_match", "field_match('label')"),
            (field_match("label", normalize=False), "field_match", "field_match('label', normalize=False)"),
        ],
    )
    def test_say_what_they_are(self, metric, name, shown):
        assert metric.__name__ == name
        assert repr(metric) == shown

    def test_name_the_field_that_the_example_lacks(self):
        with pytest.raises(ConfigurationError, match=r"exact_match\('label'\).*the example lacks; it has: 'text'"):
            exact_match("label")(Example(text="x"), Prediction(label="y"))

    def test_name_the_field_that_the_prediction_lacks(self):
        with pytest.raises(ConfigurationError, match="the prediction lacks; it has: none"):
            exact_match("label")(Example(label="x"), Prediction())

    def test_take_a_trace(self):
        assert exact_match("label")(Example(label="x"), Prediction(label="x"), trace=[])

    @pytest.mark.parametrize("metric", TEXT_METRICS, ids=repr)
    def test_survive_copies_and_pickles(self, metric):
        for clone in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
            assert repr(clone) == repr(metric)
            assert judge(clone, "yes", "yes").value == 1

    @pytest.mark.parametrize("metric", TEXT_METRICS, ids=repr)
    @given(text=st.text(max_size=40))
    def test_accept_the_expected_text_itself_in_any_composition(self, metric, text):
        decomposed = unicodedata.normalize("NFD", text)

        assert judge(metric, text, text).value == 1
        assert judge(metric, text, f" {decomposed}\n").value == 1
