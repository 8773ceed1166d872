import pytest

from dspex_core import field_match


@pytest.mark.dspex_data("data/test.jsonl", inputs=["text"])
@pytest.mark.dspex_gate("fields", min=0.7)
@pytest.mark.dspex_gate("quoted", min=0.9)
def test_contact(example, prediction, score):
    score("fields", field_match("contact")(example, prediction))
    score("quoted", prediction.contact.name.casefold() in example.text.casefold())  # not invented
    assert 0 <= prediction.contact.age <= 120
