from __future__ import annotations

import enum
import json
import math
from typing import Annotated, Any, Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from dspex_core.adapters import Adapter, ChatAdapter, JSONAdapter, XMLAdapter
from dspex_core.adapters.objects import extract_json_object
from dspex_core.adapters.parse import parse_text, parse_value
from dspex_core.errors import AdapterParseError
from dspex_core.signatures.signature import OutputField, Signature, SignatureField

RELAXED = settings(deadline=None)  # the first example may pay for an import


class Color(enum.Enum):
    RED = "rot"
    BLUE = "blau"


class Person(BaseModel):
    name: str
    age: int


def field_of(type_: Any, **constraints: Any) -> SignatureField:
    return Signature({"x": (type_, OutputField(**constraints))}).fields["x"]


# Finding the object in a reply

WANTED = {"label": "good", "score": 3}


@pytest.mark.parametrize(
    "reply",
    [
        '{"label": "good", "score": 3}',
        ' \n{"label": "good", "score": 3}\n',
        'Sure!\n```json\n{"label": "good", "score": 3}\n```\nBye.',
        '```\nnot this\n```\n```\n{"label": "good", "score": 3}\n```',
        'Using {braces} in {"prose": 1}, I say {"label": "good", "score": 3}. Fine?',
        '{"label": "bad"} or rather {"label": "good", "score": 3}',
        '[{"label": "good", "score": 3}]',
        '{"answer": {"label": "good", "score": 3}}',
        "{'label': 'good', 'score': 3}",
        '{"label": "good", "score": 3,}',
        '{label: "good", score: 3}',
        '{"label": "good", "score": 3',
        '```json\n{"label": "good", "score": 3,}\n```',
        '```json\n```json\n{"label": "good", "score": 3}\n```\n```',
        'The result: {"label": "good", // sure\n "score": 3}',
    ],
)
def test_object_is_found_in(reply):
    assert extract_json_object(reply, ["label", "score"]) == WANTED


@pytest.mark.parametrize("reply", ["", "good", "[1, 2]", '"{"', "```json\n```", "null", "[" * 10_000, "{" * 10_000])
def test_no_object_is_made_up_for(reply):
    assert extract_json_object(reply, ["label"]) in (None, {})


def test_object_with_most_of_the_names_wins_when_none_has_all():
    reply = 'First {"other": 1}, then {"label": "good", "score": 3}.'
    assert extract_json_object(reply, ["label", "score", "reason"]) == WANTED


def test_a_model_caught_in_a_loop_does_not_stall_the_parser():
    # json-repair alone takes seconds for this
    assert extract_json_object("{ '" * 20_000, ["label"]) is None


# Values


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (str, '"quoted"', '"quoted"'),
        (str, "5", "5"),
        (int, "5", 5),
        (int, "1_000", 1000),
        (float, "2", 2.0),
        (bool, "True", True),
        (bool, "no", False),
        (int | None, "null", None),
        (int | None, "None", None),
        (str | None, "null", None),
        (str | None, "plain words", "plain words"),
        (str | None, "12", "12"),
        (list[str], '["a", "b"]', ["a", "b"]),
        (list[str], "['it\\'s', 'b']", ["it's", "b"]),
        (list[str], "['a', \"it's\"]", ["a", "it's"]),
        (list[str], '```json\n["a"]\n```', ["a"]),
        (list[str], '["a", "b",]', ["a", "b"]),
        (tuple[int, int], "(1, 2)", (1, 2)),
        (dict[str, int], "{'a': 1}", {"a": 1}),
        (Person, '{"name": "Ann", "age": 4}', Person(name="Ann", age=4)),
        (Person, '{"name": "Ann", "age": 4,}', Person(name="Ann", age=4)),
        (Any, '{"a": [1]}', {"a": [1]}),
        (Any, "words {", "words {"),
    ],
)
def test_text_is_read_as_the_type(type_, text, value):
    assert parse_text(field_of(type_), text) == value


def test_not_a_number_is_a_float():
    assert math.isnan(parse_text(field_of(float), "NaN"))
    assert math.isnan(parse_value(field_of(float), math.nan))


@pytest.mark.parametrize(
    ("type_", "text", "reason"),
    [
        (int, "many", "valid integer"),
        (int, "NaN", "finite number"),
        (int, "[" * 10_000, "valid integer"),
        (list[int], '["a"]', "valid integer"),
        (list[int], "9" * 10_000, "valid list"),
        (Person, '{"name": "Ann"}', "required"),
        (list[str], '["a", "b', "valid list"),  # more may have followed
        (list[str], '["a", ...]', "valid string"),
        (Literal["a", "b"], "c", "'a' or 'b'"),
        (Color, "green", "'rot' or 'blau'"),
    ],
)
def test_text_that_does_not_fit_is_refused(type_, text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_text(field_of(type_), text)


@pytest.mark.parametrize(
    ("choices", "text", "choice"),
    [
        (Literal["good", "bad"], "good", "good"),
        (Literal["good", "bad"], ' "Good" ', "good"),
        (Literal["good", "bad"], "'BAD'", "bad"),
        (Literal["a", "A"], "A", "A"),
        (Literal["1", 1], "1", 1),
        (Literal[1, 2], "2", 2),
        (Literal[True, "maybe"], "True", True),
        (Literal["x", None], "null", None),  # noqa: PYI061  the form under test
        (Literal['"q"', "q"], '"q"', '"q"'),
        (Literal[Color.RED], "rot", Color.RED),
        (Color, "rot", Color.RED),
        (Color, "RED", Color.RED),
        (Color, "`blue`", Color.BLUE),
    ],
)
def test_choice_is_recognised_through_quotes_spaces_and_case(choices, text, choice):
    assert parse_text(field_of(choices), text) == choice


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (Literal["good", "bad"] | None, "Good", "good"),
        (Literal["good", "bad"] | None, '"BAD"', "bad"),
        (Literal["good", "bad"] | None, "null", None),
        (Literal["1", "2"] | None, "1", "1"),
        (Color | int, "Red", Color.RED),
        (list[Literal["good", "bad"]], '["Good", " bad "]', ["good", "bad"]),
        (list[Literal["1", "2"]], "[1, 2]", ["1", "2"]),
        (list[Color], "['RED', 'blau']", [Color.RED, Color.BLUE]),
        (list[Literal["good"] | None], '["GOOD", null]', ["good", None]),
        (list[Literal["good"]] | None, '["GOOD"]', ["good"]),
        (set[Literal["good", "bad"]], '["GOOD"]', {"good"}),
        (tuple[int, Literal["good"]], '[1, "GOOD"]', (1, "good")),
        (tuple[Literal["good"], ...], '["GOOD", "Good"]', ("good", "good")),
        (dict[Literal["good"], list[Color]], '{"GOOD": ["red"]}', {"good": [Color.RED]}),
        (Annotated[Literal["good"], "mood"], "GOOD", "good"),
    ],
)
def test_choice_inside_a_type_is_recognised_too(type_, text, value):
    field = field_of(type_)
    assert parse_text(field, text) == value
    assert parse_value(field, text) == value


@pytest.mark.parametrize(
    ("type_", "value", "parsed"),
    [
        (Literal["good"] | None, "GOOD", "good"),
        (list[Literal["1"]], [1], ["1"]),
        (dict[str, Literal["good"]], {"a": "GOOD"}, {"a": "good"}),
    ],
)
def test_choice_inside_a_json_value_is_recognised_too(type_, value, parsed):
    assert parse_value(field_of(type_), value) == parsed


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (Literal["good"] | None, "best"),
        (list[Literal["good"]], ["good", "best"]),
        (list[Literal["good"]], [["good"]]),
        (list[Literal["good"]], [math.nan]),
        (tuple[Literal["good"], int], ["good", 1, 2]),
    ],
)
def test_value_that_is_no_choice_inside_a_type_is_refused(type_, value):
    with pytest.raises(ValueError, match=r"'good'|not JSON compliant|at most 2 items"):
        parse_value(field_of(type_), value)


def test_choice_that_two_spellings_fit_is_refused():
    with pytest.raises(ValueError, match="'yes' or 'YES'"):
        parse_text(field_of(Literal["yes", "YES"]), "Yes")


@pytest.mark.parametrize(
    ("type_", "value", "parsed"),
    [
        (str, "5", "5"),
        (str, 5, "5"),
        (str, True, "true"),
        (str, {"a": ["ä"]}, '{"a": ["ä"]}'),
        (int, "5", 5),
        (int, 5.0, 5),
        (str | None, "null", "null"),
        (Any, "5", "5"),
        (list[str], '["a"]', ["a"]),
        (Literal["1", "2"], 1, "1"),
        (Literal["true", "false"], True, "true"),
        (Literal["good"], "GOOD", "good"),
        (Color, "rot", Color.RED),
    ],
)
def test_json_value_is_read_as_the_type(type_, value, parsed):
    assert parse_value(field_of(type_), value) == parsed


@pytest.mark.parametrize(
    ("type_", "value", "reason"),
    [
        (str, None, "null where text was expected"),
        (str, math.nan, "not JSON compliant"),
        (int, math.nan, "finite number"),
        (int, [1], "valid integer"),
        (Literal["a"], None, "null where text was expected"),
        (list[int], "none", "valid list"),
    ],
)
def test_json_value_that_does_not_fit_is_refused(type_, value, reason):
    with pytest.raises(ValueError, match=reason):
        parse_value(field_of(type_), value)


# Whatever a model writes, it is the outputs or an AdapterParseError

EVERYTHING = Signature(
    {
        "text": (str, OutputField()),
        "count": (int, OutputField(ge=0)),
        "ratio": (float, OutputField()),
        "sure": (bool, OutputField()),
        "label": (Literal["good", "bad"], OutputField()),
        "tags": (list[str], OutputField()),
        "maybe": (int | None, OutputField()),
        "person": (Person, OutputField()),
    }
)
OUTPUTS = {
    "text": 'it\'s "so" {nice}',
    "count": 3,
    "ratio": 0.5,
    "sure": True,
    "label": "good",
    "tags": ["a", "ü"],
    "maybe": None,
    "person": Person(name="Ann", age=4),
}
ADAPTERS = [ChatAdapter(), JSONAdapter(), XMLAdapter()]
REPLIES = [adapter.assistant(EVERYTHING, OUTPUTS).content for adapter in ADAPTERS]
NOISE = [
    "",
    "```",
    "```json\n",
    "{",
    "}",
    "[",
    "'",
    '"',
    ",",
    "NaN",
    "Infinity",
    "\\",
    "\\ud800",
    "\x00",
    "é",
    "[[ ## ",
]


def mutations() -> st.SearchStrategy[str]:
    cut = st.tuples(st.sampled_from(REPLIES), st.integers(0, 300), st.sampled_from(NOISE), st.integers(0, 40))
    spliced = cut.map(lambda drawn: drawn[0][: drawn[1]] + drawn[2] + drawn[0][drawn[1] + drawn[3] :])
    swapped = st.tuples(st.sampled_from(REPLIES), st.sampled_from(['"', ":", "3", "true", "null", ", "])).flatmap(
        lambda drawn: st.sampled_from(NOISE).map(lambda noise: drawn[0].replace(drawn[1], noise))
    )
    return spliced | swapped | st.tuples(spliced, spliced).map("\n".join)


def outcome(adapter: Adapter, reply: str) -> dict[str, Any] | AdapterParseError:
    try:
        return adapter.parse(EVERYTHING, reply)
    except AdapterParseError as error:
        return error


@RELAXED
@given(st.text() | st.text(alphabet="{}[]\"':,\\#` \nnulltrue0123Infty") | mutations())
@example("[" * 10_000)
@example('{"text":' * 10_000)
@example('{"```json0```')
@example("[[ ## tags ## ]]\n" + "[" * 10_000)
@example("[[ ## tags ## ]]\n" + "(" * 10_000)
@example("[[ ## person ## ]]\n" + '{"a":' * 10_000)
@example("[[ ## count ## ]]\n" + "9" * 10_000)
@example("<text>" * 10_000)
@example("<person>" + "<a>" * 10_000 + "</a>" * 10_000 + "</person>")
@example("<tags><item>\ud800</item></tags><count>&#0;</count>")
@example('{"text": ' + "[" * 900 + "]" * 900 + "}")
@example('{"text": "\\ud800", "count": NaN, "tags": {"a": Infinity}}')
def test_any_reply_parses_or_is_an_adapter_parse_error(reply):
    names = set(EVERYTHING.output_fields)
    for adapter in ADAPTERS:
        result = outcome(adapter, reply)
        if isinstance(result, AdapterParseError):
            assert result.lm_response == reply
            assert result.missing or result.invalid
            assert set(result.missing) | set(result.invalid) | set(result.parsed_result) == names
        else:
            assert set(result) == names
            assert isinstance(result["text"], str)
            assert result["count"] >= 0
            assert result["label"] in ("good", "bad")


@RELAXED
@given(st.dictionaries(st.sampled_from(list(OUTPUTS)), st.none() | st.booleans() | st.floats() | st.text(max_size=5)))
def test_json_object_with_values_of_any_type_parses_or_is_an_adapter_parse_error(values):
    result = outcome(JSONAdapter(), json.dumps(values))
    # no value of these types is a Person
    assert isinstance(result, AdapterParseError)
    assert set(result.missing) == set(OUTPUTS) - set(values) - {"maybe"}  # which may be left out
    assert set(result.invalid) | set(result.parsed_result) == {*values, "maybe"}


def test_error_names_what_is_missing_and_what_is_invalid_and_keeps_the_rest():
    signature = Signature("q -> a: int, b: list[int], c, d: bool")
    with pytest.raises(AdapterParseError) as caught:
        JSONAdapter().parse(signature, '{"a": "x", "b": [1, "y"], "d": true, "extra": 1}')
    error = caught.value
    assert (error.adapter_name, error.signature) == ("JSONAdapter", signature)
    assert error.missing == ("c",)
    assert set(error.invalid) == {"a", "b"}
    assert error.invalid["b"].startswith("1: Input should be a valid integer")
    assert error.parsed_result == {"d": True}


def test_output_with_a_default_may_be_missing():
    signature = Signature({"a": OutputField(), "note": (str | None, OutputField(default=None))})
    assert JSONAdapter().parse(signature, '{"a": "x"}') == {"a": "x", "note": None}
