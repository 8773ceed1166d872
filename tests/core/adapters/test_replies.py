"""Whatever an LM replies, a call gives a valid prediction or one AdapterParseError.

`DSPEX_REPLIES=10000 pytest --timeout=0 tests/core/adapters/test_replies.py` puts as many replies through every adapter.
"""

import json
import os
from enum import Enum
from typing import Literal

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from dspex_core import (
    AdapterParseError,
    ChatAdapter,
    JSONAdapter,
    OutputField,
    Predict,
    Prediction,
    ScriptedLM,
    Signature,
    TwoStepAdapter,
    XMLAdapter,
    context,
)
from dspex_core.signatures.signature import InputField

REPLIES = int(os.environ.get("DSPEX_REPLIES", "250"))


class Color(Enum):
    RED = "rot"
    BLUE = "blau"


class Address(BaseModel):
    street: str
    number: int | None = None


class Person(BaseModel):
    name: str
    addresses: list[Address] = []


TEXT = st.text(max_size=12) | st.sampled_from(["{", 'it\'s "so"', "</name>", "[[ ## count ## ]]", "ünï 🌍", "```"])
ADDRESS = st.fixed_dictionaries({"street": TEXT}, optional={"number": st.none() | st.integers(0, 99)})
FIELDS = {
    "text": (str, TEXT),
    "count": (int, st.integers()),
    "ratio": (float, st.floats()),
    "sure": (bool, st.booleans()),
    "label": (Literal["good", "bad"] | None, st.sampled_from(["good", "Bad", None])),
    "colors": (list[Color], st.lists(st.sampled_from(["rot", "BLUE"]), max_size=2)),
    "scores": (dict[str, float], st.dictionaries(TEXT, st.floats(), max_size=2)),
    "person": (Person, st.fixed_dictionaries({"name": TEXT, "addresses": st.lists(ADDRESS, max_size=2)})),
}
SIGNATURE = Signature(
    {"question": InputField(), **{name: (type_, OutputField()) for name, (type_, _) in FIELDS.items()}}
)
WRONG = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.sampled_from(["NaN", "9" * 5000, "1e999"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=5,
)


def as_json(values):
    return json.dumps(values, ensure_ascii=False)  # with NaN and Infinity, as models write them too


def as_text(value):
    return value if isinstance(value, str) else as_json(value)


def as_chat(values):
    return "\n\n".join([f"[[ ## {name} ## ]]\n{as_text(value)}" for name, value in values.items()])


def as_xml(values):
    return "\n".join([f"<{name}>{as_text(value)}</{name}>" for name, value in values.items()])


FAULTS = {
    "fenced": lambda reply, _: f"Sure:\n```json\n{reply}\n```\nDone.",
    "fenced in a fence": lambda reply, _: f"```\n```json\n{reply}\n```\n```",
    "fenced twice": lambda reply, at: f"```json\n{reply[:at]}\n```\nor\n```json\n{reply}\n```",
    "cut off": lambda reply, at: reply[:at],
    "begins late": lambda reply, at: reply[at:],
    "trailing commas": lambda reply, _: reply.replace("}", ",}").replace("]", ",]"),
    "single quotes": lambda reply, _: reply.replace('"', "'"),
    "curly quotes": lambda reply, _: reply.replace('"', "“"),
    "no quotes": lambda reply, _: reply.replace('"', ""),
    "comments": lambda reply, _: reply.replace(",", ", // so\n"),
    "Python's words": lambda reply, _: (
        reply.replace("true", "True").replace("null", "None").replace("NaN", "float('nan')")
    ),
    "braces in prose": lambda reply, _: f"From {{a {{set}}}} like {{'x': {{}}}} I take: {reply} {{end}}",
    "tags in prose": lambda reply, _: f"In <text> and </person> I say [[ ## text ## ]]: {reply}",
    "said twice": lambda reply, _: f"{reply}\n{reply}",
    "escaped": lambda reply, _: json.dumps(reply),
    "broken unicode": lambda reply, at: f"{reply[:at]}\ud800\x00\\ud83d\\x{reply[at:]}",
    "bytes order": lambda reply, _: f"\ufeff{reply}\u202e\u2028",
    "nested": lambda reply, _: f'{{"answer": {reply}}}',
    "deep": lambda reply, at: reply[:at] + '{"a": [' * 300 + reply[at:],
    "full of noise": lambda reply, at: reply[:at] + "'\"`,:#&<>\\" + reply[at:],
}


@st.composite
def replies(draw):
    """Outputs of which some may be wrong, missing or too many, in any format, with up to three faults."""
    values = {name: draw(right) for name, (_, right) in FIELDS.items()}
    values |= draw(st.just({}) | st.dictionaries(st.sampled_from(sorted(FIELDS)) | TEXT, WRONG, max_size=2))
    for name in draw(st.just([]) | st.lists(st.sampled_from(sorted(FIELDS)), max_size=2)):
        values.pop(name, None)
    reply = draw(st.sampled_from([as_json, as_chat, as_xml]))(values)
    for fault in draw(st.lists(st.sampled_from(sorted(FAULTS)), max_size=3)):
        event(f"fault: {fault}")
        reply = FAULTS[fault](reply, draw(st.integers(0, len(reply))))
    return reply


@settings(max_examples=REPLIES, deadline=None, suppress_health_check=list(HealthCheck))
@given(replies() | replies() | replies() | st.text())
def test_any_reply_gives_a_valid_prediction_or_one_parse_error(reply):
    lm = ScriptedLM(lambda _: reply)
    for adapter in (ChatAdapter(), JSONAdapter(), XMLAdapter(), TwoStepAdapter(lm)):
        try:
            with context(lm=lm, adapter=adapter):
                prediction = Predict(SIGNATURE)(question="q")
        except AdapterParseError as error:
            event(f"{type(adapter).__name__}: parse error")
            check_error(error, reply)
        else:
            event(f"{type(adapter).__name__}: prediction")
            assert isinstance(prediction, Prediction)
            assert list(prediction.keys()) == list(SIGNATURE.output_fields)
            for name, value in prediction.items():
                SIGNATURE.output_fields[name].type_adapter.validate_python(value, strict=True)


def check_error(error, reply):
    shown = str(error)
    assert error.signature is SIGNATURE
    assert repr(SIGNATURE) in shown
    assert error.lm_response == reply
    assert repr(reply) in shown
    assert error.missing or error.invalid
    assert {*error.missing, *error.invalid, *error.parsed_result} == set(SIGNATURE.output_fields)
    assert all(name in shown for name in (*error.missing, *error.invalid))


@pytest.mark.parametrize("write", [as_json, as_chat, as_xml])
def test_a_reply_without_fault_is_a_prediction_in_the_adapter_of_its_format(write):
    values = {"text": "x", "count": 1, "ratio": 0.5, "sure": True, "label": "Good", "colors": ["rot"]}
    values |= {"scores": {"a": 1}, "person": {"name": "Ann", "addresses": [{"street": "s"}]}}
    adapter = {as_json: JSONAdapter(), as_chat: ChatAdapter(), as_xml: XMLAdapter()}[write]
    with context(lm=ScriptedLM([write(values)]), adapter=adapter):
        prediction = Predict(SIGNATURE)(question="q")
    assert prediction.person == Person(name="Ann", addresses=[Address(street="s")])
    assert (prediction.label, prediction.colors) == ("good", [Color.RED])
