"""Values that a model has written in another way than the type has them: for outputs and for tools alike."""

import dataclasses
import enum
import json
import typing
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NewType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from dspex_core import (
    AdapterParseError,
    ChatAdapter,
    ConfigurationError,
    InputField,
    JSONAdapter,
    OutputField,
    Signature,
    Tool,
    ToolArgumentsError,
)


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


class Model(BaseModel):
    mood: Literal["good", "bad"]
    level: Level
    code: str = ""
    tags: list[str] = []


@dataclasses.dataclass
class Data:
    mood: Literal["good", "bad"]
    level: Level


class Pair(NamedTuple):
    mood: Literal["good", "bad"]
    level: Level


class Typed(TypedDict):
    mood: Literal["good", "bad"]
    level: Level


class Old(typing.TypedDict):
    mood: Literal["good", "bad"]
    level: typing.NotRequired[Level]


Code = NewType("Code", str)
WRITTEN = {"mood": "Good", "level": "high"}
MODEL = Model(mood="good", level=Level.HIGH)
ODD = {"Mood": "GOOD", "Le-vel": "Level.HIGH", "code": 7, "tags": "[1, 2]"}

MEANT = [
    (str, 14, "14"),
    (str | None, 14, "14"),
    (list[str], [2024, 2.5, True], ["2024", "2.5", "true"]),
    (dict[str, str], {"zip": 90210}, {"zip": "90210"}),
    (Code, 14, "14"),
    (Annotated[str, Field(max_length=9)], 14, "14"),
    (Model, WRITTEN, MODEL),
    (Model, ODD, Model(mood="good", level=Level.HIGH, code="7", tags=["1", "2"])),
    (Data, WRITTEN, Data("good", Level.HIGH)),
    (Pair, WRITTEN, Pair("good", Level.HIGH)),
    (Pair, ["GOOD", "high"], Pair("good", Level.HIGH)),
    (Typed, WRITTEN, {"mood": "good", "level": Level.HIGH}),
    (Old, WRITTEN, {"mood": "good", "level": Level.HIGH}),
    (list[Old] | None, [{"mood": "BAD"}], [{"mood": "bad"}]),
    (dict[str, list[Model]], {"a": [WRITTEN]}, {"a": [MODEL]}),
    (int | Model, WRITTEN, MODEL),
    (tuple[Level, str], ["low", 3], (Level.LOW, "3")),
    (list[int], "[1, 2]", [1, 2]),
    (list[Model], '```json\n[{"mood": "Good", "level": "high"}]\n```', [MODEL]),
    (dict[str, Any], '{"a": 1}', {"a": 1}),
    (Model, "{'mood': 'good', 'level': 2, 'tags': ['a'],}", Model(mood="good", level=Level.HIGH, tags=["a"])),
    (list[str], "- a\n- b\n  c", ["a", "b\nc"]),
    (list[str], "Here they are:\n1. a\n2) b", ["a", "b"]),
    (list[str], "a\nb", ["a", "b"]),
    (list[int], "* 1\n* 2,000", [1, 2000]),
    (int, "1,000", 1000),
    (int, "**42.**", 42),
    (int, "85%", 85),
    (int, "4/5", 4),
    (float, "$1,000.50", 1000.5),
    (float, "-€1,234", -1234.0),
    *[(kind, text, kind(-5)) for kind in (int, float, Decimal) for text in ("- 5", "-$5", "$-5", "€ -5", "\u22125.")],
    *[(kind, text, kind(5)) for kind in (int, float, Decimal) for text in ("+$5", "$+5", "+ 5", "5 €")],
    (int, "-4/5", -4),
    (Decimal, "1,000.10", Decimal("1000.10")),
    (Annotated[float, Field(ge=0, le=1)], "85%", 0.85),
    (Annotated[float, Field(ge=0, le=1)], "4/5", 0.8),
    (Annotated[float, Field(gt=1)], "4/5", 4.0),
    (bool, "Yes.", True),
    (bool, "**no**", False),
    (int | None, "N/A", None),
    (Level | None, "none", None),
    (list[int | None], ["1,000", "null"], [1000, None]),
    (date, "It is 2024-05-01.", date(2024, 5, 1)),
    (Literal["first choice", "other"], "first_choice.", "first choice"),
]
REFUSED = [
    (float, "85%", "may mean 0.85 or 85"),
    (float, "4/5", "may mean 0.8 or 4"),
    (int, "10/5", "may mean 2 or 10"),
    *[(int, text, "valid integer") for text in ("5/3", "-5/3", "7.5/2", "5/0", "0/0", "4/5/6", "5:3", "3-4", "3 - 4")],
    *[
        (int, text, "valid integer")
        for text in ("5 or 6", "5 and 6", "5 to 6", "5\u20136", "5, 6", "5;6", "5 6/7", "<5")
    ],
    *[(float, text, "valid number") for text in ("5/0", "5:3", "3-4", "5 or 6", "5\u20136", "5 6/7", ">5")],
    (int, "$1,000.50", "valid integer"),
    *[(int, text, "valid integer") for text in ("--5", "+-5", "-+5", "++5", "--$5", "-$-5", "$--5", "5-", "5+", "-5-")],
    *[(float, text, "valid number") for text in ("--5.5", "+-.5", "-€-5", "5.5-", "1..5", "1.2.3", "--85%", "4/-5")],
    *[(int, text, "valid integer") for text in ("1,2,3", "1,23", "12,34", "1,234,5", "1,,234", "1 2", "1-2", "4//5")],
    (float, "1,5", "valid number"),
    (int, "about 5", "valid integer"),
    (list[int], "1,000", "valid list"),
    (list[int], "[1,000, 2,000]", "valid list"),
    (list[str], "a, b and c", "valid list"),
    (list[str], "First\nthe list:\n- a", "valid list"),
    (date, "from 2024-05-01 to 2024-06-01", "valid date"),
    (list[str], [None], "valid string"),
    (Literal["yes", "YES"], "Yes", "'yes' or 'YES'"),
    (Literal["1", "0"], "-1", "'1' or '0'"),
    (Literal["5", "6"], "1.5", "'5' or '6'"),
    (Literal["C", "D"], "C#", "'C' or 'D'"),
]


def output(kind, value):
    return JSONAdapter().parse(Signature({"q": InputField(), "a": (kind, OutputField())}), json.dumps({"a": value}))[
        "a"
    ]


def tool(kind, value):
    def echo(argument):
        return argument

    return Tool(echo, arg_types={"argument": kind})(argument=value)


@pytest.mark.parametrize("read", [output, tool])
@pytest.mark.parametrize(("kind", "written", "meant"), MEANT)
def test_what_is_meant_is_read(read, kind, written, meant):
    assert read(kind, written) == meant


@pytest.mark.parametrize(("read", "error"), [(output, AdapterParseError), (tool, ToolArgumentsError)])
@pytest.mark.parametrize(("kind", "written", "reason"), REFUSED)
def test_what_would_be_a_guess_is_refused(read, error, kind, written, reason):
    with pytest.raises(error, match=reason):
        read(kind, written)


@pytest.mark.parametrize("kind", [str, str | None, Code, Annotated[str, "a text"], Any])
@given(
    text=st.text(st.characters(exclude_categories=("Cc", "Cs")) | st.sampled_from("\n"))
    | st.sampled_from(['"quoted"', "1,000", "[1, 2]", "- a\n- b", "85%", "N/A", "**x**", "1, 2"])
)
def test_a_text_stays_as_it_is(kind, text):
    assert output(kind, text) == text
    assert tool(kind, text) == text


def test_thousands_are_never_two_values():
    signature = Signature({"q": InputField(), "a": (Any, OutputField())})
    assert ChatAdapter().parse(signature, "[[ ## a ## ]]\n1,000") == {"a": "1,000"}
    two = Signature("q -> a: int, b: str")
    assert JSONAdapter().parse(two, '{"a": 1,000, "b": "x 1,000"}') == {"a": 1000, "b": "x 1,000"}


def test_arguments_in_another_case_and_nulls_for_defaults_are_read():
    def search(query: str, max_results: int = 3) -> str:
        return f"{query} {max_results}"

    assert Tool(search)(Query=4417, maxResults="1,000") == "4417 1000"
    assert Tool(search)(query="a", max_results=None) == "a 3"
    with pytest.raises(ToolArgumentsError, match="'size' is unknown"):
        Tool(search)(query="a", size=2)


class Raising(BaseModel):
    name: str

    def model_post_init(self, _):
        raise KeyError(self.name)


@dataclasses.dataclass
class Checked:
    name: str

    def __post_init__(self):
        raise {"a": AttributeError, "r": RecursionError, "t": TypeError, "k": KeyError}[self.name](self.name)


@pytest.mark.parametrize(("kind", "name"), [(Raising, "x"), *((Checked, name) for name in "artk")])
@pytest.mark.parametrize("adapter", [JSONAdapter(), ChatAdapter()])
def test_what_a_user_s_code_raises_is_an_error_of_the_reader(adapter, kind, name):
    signature = Signature({"q": InputField(), "a": (kind, OutputField())})
    with pytest.raises(AdapterParseError) as caught:
        adapter.parse(signature, f'{{"a": {{"name": "{name}"}}}}')
    assert "a" in caught.value.invalid
    with pytest.raises(ToolArgumentsError):
        tool(kind, {"name": name})


def test_deep_nesting_is_refused_in_words():
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ToolArgumentsError, match="nested too deeply"):
        tool(list[list[int]], deep)
    for text in ("[" * 50_000, '{"a":' * 5_000, "[" * 500 + "]" * 500):
        with pytest.raises(ToolArgumentsError):
            tool(list[list[int]], text)


@pytest.mark.skipif("sys.version_info >= (3, 12)", reason="there pydantic takes every TypedDict")
def test_a_type_that_pydantic_cannot_read_is_refused_when_the_tool_is_made():
    @dataclasses.dataclass
    class Holder:
        old: Old

    def plot(holder: Holder) -> None: ...

    with pytest.raises(ConfigurationError, match="TypedDict"):
        Tool(plot)
