"""Programs that tests save as a whole: classes that a file can name."""

import enum
from typing import Annotated, Literal

import pydantic

from dspex_core import ChainOfThought, InputField, Module, OutputField, Predict, Signature


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Place(pydantic.BaseModel):
    city: str


class Review(pydantic.BaseModel):
    mood: Mood
    places: list[Place] = []


class Read(Signature):
    """Read the review."""

    text: str = InputField(desc="by a customer", max_length=500)
    hints: dict[str, list[int]] | None = InputField(default=None)
    review: Review = OutputField()
    size: Literal["big", "small", 3] = OutputField(desc="how big")
    stars: int = OutputField(ge=1, le=5, prefix="Stars given:")


class Pipeline(Module):
    def __init__(self, rounds=2, signature="text -> topic"):
        self.rounds = rounds
        self.read = Predict(Read)
        self.steps = [ChainOfThought(signature) for _ in range(rounds)]

    def constructor_arguments(self):
        return {"rounds": self.rounds, "signature": self.steps[0].constructor_arguments()["signature"]}


class Forgetful(Module):
    def __init__(self, k=1):
        self.k = k
        self.predict = Predict("question -> answer")


class Demanding(Module):
    def __init__(self, model):
        self.predict = Predict("question -> answer")


class Unnamed(Signature):
    question: str = InputField()
    score: Annotated[int, "of ten"] = OutputField()


class Growing(Module):
    def __init__(self):
        self.predict = Predict("question -> answer")
        self.api_key = None


def grown():
    program = Growing()
    program.api_key = "secret"
    program.part = Module()
    return program


def made_inside():
    class Inside(Module):
        def __init__(self):
            self.predict = Predict("question -> answer")

    return Inside()
