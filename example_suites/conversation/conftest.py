"""A program that talks with a user over several turns."""

from dspex_core import History, InputField, OutputField, Predict, Signature
from pytest_dspex import program


class Reply(Signature):
    """Reply to the user in one short sentence."""

    message: str = InputField()
    history: History = InputField()
    reply: str = OutputField()


@program
def assistant():
    return Predict(Reply, max_tokens=40)  # a small model may go on and on
