"""A program that must write dates as the archive does, which only its examples say."""

from dspex_core import InputField, LabeledFewShot, OutputField, Predict, Signature, exact_match
from pytest_dspex import program


class Stamp(Signature):
    """Write the date in the text as a stamp of the archive."""

    text: str = InputField()
    stamp: str = OutputField()


@program(
    optimizer=LabeledFewShot(k=6),
    metric=exact_match("stamp"),
    trainset="data/train.jsonl",
    testset="data/test.jsonl",
)
def archive_stamp():
    return Predict(Stamp, max_tokens=30)
