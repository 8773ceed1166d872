"""A program that reads a person's name, age and occupation out of a sentence."""

from pydantic import BaseModel, Field

from dspex_core import InputField, OutputField, Predict, Signature
from pytest_dspex import program


class Contact(BaseModel):
    name: str
    age: int = Field(ge=0, le=120)
    occupation: str


class ExtractContact(Signature):
    """Read the person's name, age and occupation from the text."""

    text: str = InputField()
    contact: Contact = OutputField()


@program
def extract_contact():
    return Predict(ExtractContact)
