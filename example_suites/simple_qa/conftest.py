"""A program that answers questions from what the model knows, in the shortest form that there is."""

from dspex_core import Predict
from pytest_dspex import program


@program
def simple_qa():
    return Predict("question -> answer", max_tokens=40)  # a small model may go on and on
