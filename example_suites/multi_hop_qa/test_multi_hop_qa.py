import pytest

from dspex_core import contains


@pytest.mark.dspex_data("data/test.jsonl", inputs=["question"])
@pytest.mark.dspex_gate("first_hop", min=0.9)
@pytest.mark.dspex_gate("second_hop", min=0.6)
@pytest.mark.dspex_gate("answer", min=0.4)
def test_answer(example, prediction, score):
    score("first_hop", example.titles[0] in prediction.titles[:1])
    score("second_hop", example.titles[1] in prediction.titles[1:], feedback=f"it looked for {prediction.person!r}")
    score("answer", contains("answer")(example, prediction))
