import pytest

from dspex_core import exact_match


@pytest.mark.dspex_data("data/test.jsonl", inputs=["review"])
@pytest.mark.dspex_gate("accuracy", min=0.7)
def test_sentiment(example, prediction, score):
    score("accuracy", exact_match("sentiment")(example, prediction))


def test_the_validation_rows_as_one_test(sentiment, evaluate):
    result = evaluate(sentiment, "data/val.jsonl", inputs=["review"], metric=exact_match("sentiment"))
    assert result >= 0.7
