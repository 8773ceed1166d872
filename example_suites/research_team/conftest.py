"""A team of two: the researcher finds sources and takes notes, the writer sees the notes alone."""

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


class TakeNotes(Signature):
    """Note the place, the year and the height."""

    passages: list[str] = InputField()
    notes: str = OutputField()


class Write(Signature):
    """Write one sentence that has all of the notes."""

    topic: str = InputField()
    notes: str = InputField()
    sentence: str = OutputField()


class Researcher(Module):
    def __init__(self):
        self.search = BM25([source.text for source in load_dataset(DATA / "sources.jsonl")], k=2)
        self.take_notes = Predict(TakeNotes, max_tokens=50)

    def forward(self, topic):
        passages = self.search(topic).passages
        return Prediction(notes=self.take_notes(passages=passages).notes, passages=passages)


class Team(Module):
    def __init__(self):
        self.researcher = Researcher()
        self.writer = Predict(Write, max_tokens=60)

    def forward(self, topic):
        found = self.researcher(topic=topic)
        sentence = self.writer(topic=topic, notes=found.notes).sentence
        return Prediction(sentence=sentence, notes=found.notes, passages=found.passages)


# The training rows have the fields of both. Each predictor gets those that it has.
@program
def team():
    rows = load_dataset(DATA / "train.jsonl", inputs=["topic", "passages"])
    return LabeledFewShot(k=3).compile(Team(), trainset=rows)
