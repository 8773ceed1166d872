"""A program that says whether a customer is happy; its tests have rows without labels."""

from typing import Literal

from dspex_core import InputField, OutputField, Predict, Signature
from pytest_dspex import program


class Mood(Signature):
    """Decide whether the review is positive or negative."""

    review: str = InputField()
    mood: Literal["positive", "negative"] = OutputField()


@program
def mood():
    return Predict(Mood)
