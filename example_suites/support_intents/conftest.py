"""A program that sorts customers' messages by what they want, and how it is compiled."""

from typing import Literal

from dspex_core import InputField, KNNFewShot, OutputField, Predict, Signature, exact_match
from pytest_dspex import program


class SupportIntent(Signature):
    """Decide what the customer's message is about."""

    text: str = InputField()
    intent: Literal["account", "cancel", "delivery", "payment", "product", "refund"] = OutputField()


@program(
    optimizer=KNNFewShot(k=4),
    metric=exact_match("intent"),
    trainset="data/train.jsonl",
    testset="data/test.jsonl",
)
def support_intent():
    return Predict(SupportIntent)
