import pytest

from dspex_core import exact_match


@pytest.mark.dspex_data("data/test.jsonl", inputs=["note"])
@pytest.mark.dspex_gate("name", min=0.6)
@pytest.mark.dspex_gate("city", min=0.6)
def test_desk(example, prediction, score):
    score("name", exact_match("name")(example, prediction))
    score("city", exact_match("city")(example, prediction))
    assert " " not in prediction.key  # the code after the model
