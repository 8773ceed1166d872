"""A program that sorts customers' messages by what they want, and how it is compiled."""

from typing import Literal

from dspex_core import BootstrapFewShotWithRandomSearch, InputField, OutputField, Predict, Signature, exact_match
from pytest_dspex import program


class SupportIntent(Signature):
    """Classify the customer's message by intent."""

    text: str = InputField()
    intent: Literal["account", "cancel", "delivery", "payment", "product", "refund"] = OutputField()


# Sets of six labelled examples as demos; the set that does best on the validation rows wins. Fixed demos are
# the part of the prompt that the model reads once and keeps, so a call costs no more than without them.
@program(
    optimizer=BootstrapFewShotWithRandomSearch(
        exact_match("intent"),
        max_bootstrapped_demos=0,
        max_labeled_demos=6,
        num_candidate_programs=4,
        num_threads=2,
    ),
    trainset="data/train.jsonl",
    valset="data/val.jsonl",
    testset="data/test.jsonl",
)
def support_intent():
    return Predict(SupportIntent)
