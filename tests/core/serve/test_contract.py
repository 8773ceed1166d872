"""What a served program takes and returns: its schemas, its inputs read strictly, its outputs written."""

import datetime as dt
import enum
import json
from typing import Literal

import jsonschema
import pydantic
import pytest

import dspex_core as dspy
from dspex_core.errors import BadInputError, ConfigurationError, ProgramFailedError
from dspex_core.serve.contract import contract_of, describe


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Node(pydantic.BaseModel):
    value: int
    children: list["Node"] = []


class Triage(dspy.Signature):
    """Sort a message."""

    text: str = dspy.InputField(desc="the message", max_length=10)
    mood: Mood = dspy.InputField()
    tree: Node | None = dspy.InputField()
    day: dt.date = dspy.InputField()
    limit: int = dspy.InputField(default=3)
    photo: dspy.Image | None = dspy.InputField(default=None)
    label: Literal["a", "b"] = dspy.OutputField(desc="the kind")
    found: list[Node] = dspy.OutputField()


GOOD = {"text": "hi", "mood": "good", "day": "2026-01-31"}


def test_the_schemas_have_types_descriptions_defaults_and_what_is_required():
    served = describe(dspy.Predict(Triage))

    jsonschema.Draft202012Validator.check_schema(served.input_schema)
    assert (served.name, served.description) == ("triage", "Sort a message.")
    properties = served.input_schema["properties"]
    assert properties["text"] == {"type": "string", "maxLength": 10, "description": "the message"}
    assert properties["limit"]["default"] == 3
    assert served.input_schema["required"] == ["text", "mood", "day"]
    assert served.input_schema["additionalProperties"] is False
    assert served.output_schema["properties"]["label"] == {
        "enum": ["a", "b"],
        "type": "string",
        "description": "the kind",
    }
    json.dumps([served.input_schema, served.output_schema])


def test_inputs_become_values_of_their_types():
    tree = {"value": 1, "children": [{"value": 2}]}
    values = contract_of(dspy.Predict(Triage)).read({**GOOD, "tree": tree, "photo": "https://x.example/y.png"})

    assert values["mood"] is Mood.GOOD
    assert values["day"] == dt.date(2026, 1, 31)
    assert values["tree"] == Node(value=1, children=[Node(value=2)])
    assert isinstance(values["photo"], dspy.Image)
    assert "limit" not in values  # the program knows its defaults


@pytest.mark.parametrize(
    ("changed", "paths"),
    [
        ({"text": "longer than ten"}, [["text"]]),
        ({"text": 5}, [["text"]]),
        ({"text": None}, [["text"]]),
        ({"limit": "3"}, [["limit"]]),
        ({"limit": True}, [["limit"]]),
        ({"mood": "neither"}, [["mood"]]),
        ({"tree": {"value": 1, "children": [{"value": "x"}, {}]}}, None),
        ({"unknown": 1, "day": "soon", "mood": 7}, [["mood"], ["day"], ["unknown"]]),
    ],
)
def test_every_fault_of_the_inputs_is_reported_at_once_with_its_path(changed, paths):
    contract = contract_of(dspy.Predict(Triage))
    with pytest.raises(BadInputError) as caught:
        contract.read({**GOOD, **changed})

    faults = caught.value.details["faults"]
    found = [fault["path"] for fault in faults]
    assert found == (paths or [["tree", "children", 0, "value"], ["tree", "children", 1, "value"]])
    with pytest.raises(jsonschema.ValidationError):  # the published schema says so, too
        jsonschema.validate(
            {**GOOD, **changed}, contract.served.input_schema, format_checker=jsonschema.FormatChecker()
        )


def test_a_missing_input_is_a_fault():
    with pytest.raises(BadInputError, match="text is missing; mood is missing; day is missing"):
        contract_of(dspy.Predict(Triage)).read({})


@pytest.mark.parametrize("inputs", [None, [], "text", 3])
def test_inputs_that_are_not_an_object_are_one_fault(inputs):
    with pytest.raises(BadInputError, match="the body is not a JSON object"):
        contract_of(dspy.Predict(Triage)).read(inputs)


class Own(dspy.Module):
    """Answers in its own words."""

    def __init__(self):
        super().__init__()
        self.answer = dspy.Predict(
            dspy.Signature({"question": dspy.InputField(desc="what to answer")}).append("answer", dspy.OutputField())
        )

    def forward(self, question: str, tries: int = 2):
        return self.answer(question=question)


def test_a_users_program_is_described_by_its_type_hints_or_a_signature_that_is_given():
    served = describe(Own())
    assert (served.name, served.description) == ("own", "Answers in its own words.")
    assert served.input_schema["properties"] == {
        "question": {"type": "string", "description": "what to answer"},
        "tries": {"type": "integer", "default": 2},
    }
    assert served.input_schema["required"] == ["question"]
    assert served.output_schema == {"type": "object", "additionalProperties": True}

    given = describe(Own(), name="qa-2", signature="question -> answer: int")
    assert (given.name, list(given.input_schema["properties"])) == ("qa-2", ["question"])
    assert given.output_schema["properties"]["answer"]["type"] == "integer"


def test_only_the_declared_outputs_are_written():
    contract = contract_of(dspy.Predict(Triage))
    prediction = dspy.Prediction(label="a", found=[Node(value=1)], trajectory={"secret": "x"})
    assert contract.write(prediction) == {"label": "a", "found": [{"value": 1, "children": []}]}
    assert contract_of(Own()).write("text") == {"result": "text"}


@pytest.mark.parametrize("outputs", [{"label": "a"}, {"label": "a", "found": [float("nan")]}])
def test_outputs_that_do_not_fit_are_an_error_of_the_program(outputs):
    with pytest.raises(ProgramFailedError, match="outputs that do not fit"):
        contract_of(dspy.Predict(Triage)).write(dspy.Prediction(**outputs))


class Opaque:
    pass


OPAQUE = dspy.Signature({"a": (Opaque, dspy.InputField()), "b": dspy.OutputField()})


@pytest.mark.parametrize(
    ("program", "options", "message"),
    [
        (len, {}, "only programs can be served"),
        (dspy.Predict("a -> b"), {"name": "no/slash"}, "cannot be the name"),
        (dspy.Predict("a -> b"), {"name": 3}, "cannot be the name"),
        (dspy.Predict(OPAQUE), {}, "no JSON form"),
        (dspy.Module(), {}, "does not say what it takes"),
    ],
)
def test_a_program_that_cannot_be_served_is_refused_with_a_reason(program, options, message):
    with pytest.raises(ConfigurationError, match=message):
        describe(program, **options)
