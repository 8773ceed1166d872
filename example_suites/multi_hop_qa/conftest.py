"""A program that needs two passages: the first names a person, the second says something about that person."""

from pathlib import Path

from dspex_core import (
    BM25,
    InputField,
    LabeledFewShot,
    Module,
    OutputField,
    Predict,
    Prediction,
    Signature,
    load_dataset,
)
from pytest_dspex import program

DATA = Path(__file__).parent / "data"


class Bridge(Signature):
    """Name the person in the passage."""

    passage: str = InputField()
    person: str = OutputField()


class Answer(Signature):
    """Answer the question with a few words of the passage."""

    passage: str = InputField()
    question: str = InputField()
    answer: str = OutputField()


class TwoHops(Module):
    def __init__(self):
        corpus = load_dataset(DATA / "corpus.jsonl")
        self.titles = [entry.title for entry in corpus]
        self.search = BM25([entry.text for entry in corpus], k=1)
        self.bridge = Predict(Bridge, max_tokens=20)
        self.answer = Predict(Answer, max_tokens=40)

    def forward(self, question):
        first = self.search(question)
        person = self.bridge(passage="\n".join(first.passages)).person
        second = self.search(person)
        answer = self.answer(passage="\n".join(second.passages), question=question).answer
        titles = [self.titles[index] for found in (first, second) for index in found.indices]
        return Prediction(answer=answer, person=person, titles=titles)


@program
def two_hops():
    hops = TwoHops()
    hops.bridge = LabeledFewShot(k=3).compile(
        hops.bridge, trainset=load_dataset(DATA / "train.jsonl", inputs=["passage"])
    )
    return hops
