"""A program that answers questions about numbers: the model writes the code, Python computes."""

from pathlib import Path

from dspex_core import InputField, LabeledFewShot, OutputField, ProgramOfThought, Signature, load_dataset
from pytest_dspex import program


class Compute(Signature):
    """Compute the answer to the question."""

    question: str = InputField()
    answer: float = OutputField()


# The training rows have the fields of both turns: the code that is written, and the answer that is read from its
# result. Each predictor gets those that it has.
@program
def arithmetic():
    thought = ProgramOfThought(Compute, max_iters=1)
    for predictor in thought.predictors():
        predictor.config = {"max_tokens": 80}  # a small model may go on and on
    turns = load_dataset(Path(__file__).parent / "data" / "train.jsonl", inputs=["question"])
    return LabeledFewShot(k=6).compile(thought, trainset=turns)
