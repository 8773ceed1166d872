"""What a DSPy user writes, once for both libraries: each function takes the library as `dspy`."""

from typing import Literal

import pydantic

INTENTS = Literal["refund", "delivery", "other"]


class Address(pydantic.BaseModel):
    street: str
    city: str
    postcode: str | None = None


class Person(pydantic.BaseModel):
    name: str
    age: int | None = pydantic.Field(default=None, ge=0)
    addresses: list[Address] = []


def classifier(dspy):
    class Classify(dspy.Signature):
        """Say what the customer wants."""

        message: str = dspy.InputField(desc="what the customer wrote")
        intent: INTENTS = dspy.OutputField()
        confidence: float = dspy.OutputField(desc="between 0 and 1", ge=0, le=1)

    return dspy.Predict(Classify)


def careful_classifier(dspy):
    return dspy.ChainOfThought("message: str -> urgent: bool, tags: list[str]")


def extractor(dspy):
    class Extract(dspy.Signature):
        """Find the people in the text."""

        text: str = dspy.InputField()
        people: list[Person] = dspy.OutputField()
        by_city: dict[str, int] = dspy.OutputField(desc="how many people live in each city")

    return dspy.Predict(Extract)


def pipeline(dspy):
    class Triage(dspy.Module):
        def __init__(self):
            super().__init__()
            self.classify = classifier(dspy)
            self.steps = [dspy.ChainOfThought("message, intent -> reply"), extractor(dspy)]

        def forward(self, message):
            intent = self.classify(message=message).intent
            reply = self.steps[0](message=message, intent=intent)
            people = self.steps[1](text=message).people
            return dspy.Prediction(intent=intent, reply=reply.reply, people=people)

    return Triage()


def with_demos(dspy):
    """A pipeline as an optimizer leaves it."""
    program = pipeline(dspy)
    classify = program.classify
    classify.signature = classify.signature.with_instructions("Name the intent.").with_updated_fields(
        "intent", desc="one of three"
    )
    classify.demos = [dspy.Example(message="Where is it?", intent="delivery", confidence=0.75).with_inputs("message")]
    anna = Person(name="Anna", age=30, addresses=[Address(street="Ring 1", city="Graz")])
    program.steps[1].demos = [
        dspy.Example(text="Anna, 30, Ring 1, Graz", people=[anna], by_city={"Graz": 1}),
        {"text": "Nobody", "people": [], "by_city": {}, "augmented": True},
    ]
    return program


def calculator(dspy):
    class Compute(dspy.Signature):
        """Work out what the question asks for."""

        question: str = dspy.InputField()
        answer: float = dspy.OutputField()
        unit: str = dspy.OutputField(desc="such as km")

    return dspy.ProgramOfThought(Compute, max_iters=3)


class OwnInterpreter:
    """An interpreter of the user's own, which knows products of numbers."""

    def __init__(self):
        self.tools = {}

    def start(self):
        pass

    def execute(self, code, variables=None):
        numbers = [int(part) for part in code.split("*") if part.strip().isdecimal()]
        if len(numbers) != 2:
            raise SyntaxError("not a product of numbers")
        return numbers[0] * numbers[1]

    def shutdown(self):
        pass


def computed(dspy):
    return dspy.ProgramOfThought("question -> answer: int", interpreter_factory=OwnInterpreter)


def titles_by_calls(dspy):
    from tutorials import search_pages

    class Titles(dspy.Module):
        def __init__(self):
            super().__init__()
            self.agent = dspy.ReActV2("claim -> titles: list[str]", tools=[search_pages], max_iters=3)

        def forward(self, claim):
            return dspy.Prediction(titles=self.agent(claim=claim).titles)

    return Titles()
