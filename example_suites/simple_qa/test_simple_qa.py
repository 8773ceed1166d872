import pytest

from dspex_core import contains


@pytest.mark.dspex_data("questions.csv", inputs=["question"], metrics={"right": contains("answer")})
@pytest.mark.dspex_gate("right", min=0.45)
@pytest.mark.dspex_gate("right", min=0.25, by="topic")
def test_answer(prediction):
    assert prediction.answer.strip()
