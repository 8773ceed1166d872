import pytest

from dspex_core import field_match


@pytest.mark.dspex_data("data/test.jsonl", inputs=["text"])
@pytest.mark.dspex_gate("fields", min=0.7)
def test_contact(example, prediction, score, check):
    score("fields", field_match("contact")(example, prediction))
    check(prediction.contact.name in example.text, "the name is quoted, not invented")
