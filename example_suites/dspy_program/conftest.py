"""A program of DSPy under test, as it stands in a project: nothing in its classes is written for the tests."""

import dspy

from pytest_dspex import program


class ReadNote(dspy.Signature):
    """Copy the customer's name and city from the note."""

    note: str = dspy.InputField()
    name: str = dspy.OutputField()
    city: str = dspy.OutputField()


class Desk(dspy.Module):
    """Makes a card of a note on a customer: the name, the city, and the key under which it is filed."""

    def __init__(self):
        super().__init__()
        self.read = dspy.Predict(ReadNote, max_tokens=40)

    def forward(self, note):
        found = self.read(note=note)
        return dspy.Prediction(name=found.name, city=found.city, key=found.name.casefold().replace(" ", "-"))


@program
def desk():
    return Desk()
