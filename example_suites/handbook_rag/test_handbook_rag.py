import pytest

from dspex_core import contains


@pytest.mark.dspex_data("data/test.jsonl", inputs=["question"])
@pytest.mark.dspex_gate("retrieved", min=0.85)
@pytest.mark.dspex_gate("answer", min=0.35)
def test_answer(example, prediction, score):
    score("retrieved", example.topic in prediction.topics, feedback=f"{example.topic} is not in {prediction.topics}")
    score("answer", contains("answer")(example, prediction))


def test_a_question_that_shares_no_word_with_the_handbook_finds_nothing(handbook, check):
    answered = handbook(question="xyzzy?")
    check(answered.topics == [], "no passage is found")
    check(isinstance(answered.answer, str), "the model answers all the same")
