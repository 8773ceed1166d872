"""A program that tells whether a review is positive or negative."""

from typing import Literal

from dspex_core import InputField, OutputField, Predict, Signature
from pytest_dspex import program


class Sentiment(Signature):
    """Decide whether the review is positive or negative."""

    review: str = InputField()
    sentiment: Literal["positive", "negative"] = OutputField()


@program
def sentiment():
    return Predict(Sentiment)
