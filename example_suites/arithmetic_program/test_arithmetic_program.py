import pytest


@pytest.mark.dspex_data("data/test.jsonl", inputs=["question"])
@pytest.mark.dspex_gate("right", min=0.7)
@pytest.mark.dspex_gate("errors", max=0.1)
def test_code(example, prediction, score):
    score("right", prediction.answer == example.answer)
