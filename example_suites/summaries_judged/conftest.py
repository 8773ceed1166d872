"""A program that summarises news."""

from dspex_core import InputField, OutputField, Predict, Signature
from pytest_dspex import program


class Summarise(Signature):
    """Summarise the news in one short sentence."""

    text: str = InputField()
    summary: str = OutputField()


@program
def summarise():
    return Predict(Summarise, max_tokens=60)  # a small model may go on and on
