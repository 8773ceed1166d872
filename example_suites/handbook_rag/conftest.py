"""A program that answers employees' questions from a handbook: BM25 finds the passage, the model reads it."""

from pathlib import Path

from dspex_core import BM25, InputField, Module, OutputField, Predict, Prediction, Signature, load_dataset
from pytest_dspex import program


class Answer(Signature):
    """Answer the question with a few words of the passage."""

    passage: str = InputField()
    question: str = InputField()
    answer: str = OutputField()


class HandbookRAG(Module):
    def __init__(self):
        handbook = load_dataset(Path(__file__).parent / "data" / "handbook.jsonl")
        self.topics = [entry.topic for entry in handbook]
        self.search = BM25([entry.text for entry in handbook], k=1)
        self.answer = Predict(Answer, max_tokens=40)  # a small model may go on and on

    def forward(self, question):
        found = self.search(question)
        answer = self.answer(passage="\n".join(found.passages), question=question).answer
        return Prediction(answer=answer, topics=[self.topics[index] for index in found.indices])


@program
def handbook():
    return HandbookRAG()
