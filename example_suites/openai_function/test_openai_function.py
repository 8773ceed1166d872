import pytest

from dspex_core import exact_match


@pytest.mark.dspex_data("data/test.jsonl", inputs=["text"], metrics={"right": exact_match("city")})
@pytest.mark.dspex_gate("right", min=0.4)
@pytest.mark.dspex_gate("quoted", min=0.45)
def test_city(example, prediction, score):
    score("quoted", prediction["city"] in example.text)
