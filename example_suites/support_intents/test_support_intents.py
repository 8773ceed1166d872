import pytest

from dspex_core import exact_match


@pytest.mark.dspex_data("data/test.jsonl", inputs=["text"])
@pytest.mark.dspex_gate("accuracy", min=0.7)
def test_intent(example, prediction, score):
    score("accuracy", exact_match("intent")(example, prediction))


def test_an_empty_message_still_gets_an_intent(support_intent, check):
    intent = support_intent(text="").intent
    check(isinstance(intent, str), "the intent is a text")
    check(intent in {"account", "cancel", "delivery", "payment", "product", "refund"}, "it is one of the six")
