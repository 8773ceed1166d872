"""Inputs are drawn by the signature's types and constraints."""

import dataclasses
import datetime as dt
import enum
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType, Optional, TypedDict

import pydantic
import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from dspex_core import Code, ConfigurationError, History, Image, InputField, OutputField, Signature
from pytest_dspex.strategies import inputs


class Kind(enum.Enum):
    CANCEL = "cancel"
    REFUND = "refund"


class Tree(pydantic.BaseModel):
    name: Annotated[str, pydantic.Field(min_length=1, max_length=3)]
    size: int = pydantic.Field(ge=1, lt=4)
    left: "Tree | None" = None


class Even(pydantic.BaseModel):
    number: int

    @pydantic.field_validator("number")
    @classmethod
    def _even(cls, value):
        if value % 2:
            raise ValueError("odd")
        return value


class Aliased(pydantic.BaseModel):
    name: str = pydantic.Field(alias="fullName", pattern=r"^[a-z]{2,4}$")


@dataclasses.dataclass
class Point:
    x: float
    when: dt.date | None


class Row(TypedDict):
    kinds: list[Kind]


UserId = NewType("UserId", int)

TYPES = [
    (str, {}),
    (str, {"min_length": 2, "max_length": 5}),
    (str, {"pattern": r"^\d{3}-[A-Z]+$", "max_length": 8}),
    (int, {"ge": 3, "le": 20, "multiple_of": 4}),
    (int, {"gt": 3, "lt": 5}),
    (float, {"gt": 0, "lt": 1}),
    (float, {"ge": 0, "le": 2, "multiple_of": 0.5}),
    (Decimal, {"ge": 0, "decimal_places": 2, "max_digits": 5}),
    (dt.date, {"ge": dt.date(2024, 1, 1), "lt": dt.date(2024, 1, 3)}),
    (dt.datetime, {}),
    (dt.time, {}),
    (bytes, {"max_length": 2}),
    (bool, {}),
    (Kind, {}),
    (Literal["a", "b", 3], {}),
    (Optional[int], {"ge": 0}),  # noqa: UP045  users write it
    (int | str | None, {}),
    (UserId, {}),
    (Annotated[int, pydantic.Field(ge=2)], {"le": 3}),
    (list[Kind], {"min_length": 1, "max_length": 2}),
    (list, {}),
    (Sequence[dt.date], {}),
    (set[int], {"min_length": 2}),
    (tuple[int, ...], {}),
    (tuple[str, int], {}),
    (dict[str, list[int]], {}),
    (Any, {}),
    (Tree, {}),
    (list[Tree], {}),
    (Even, {}),
    (Aliased, {}),
    (Point, {}),
    (Row, {}),
    (Image, {}),
]


@pytest.mark.parametrize(("type_", "constraints"), TYPES)
def test_drawn_values_fit_their_field(type_, constraints):
    kind = Signature({"given": (type_, InputField(**constraints)), "answer": (str, OutputField())})
    declared = kind.input_fields["given"]

    @given(inputs(kind))
    @settings(max_examples=25, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    def check(drawn):
        assert declared.validate(drawn["given"]) == drawn["given"]

    check()


def test_a_text_has_no_half_of_a_surrogate_pair():
    @given(inputs("question -> answer"))
    @settings(database=None)
    def check(drawn):
        drawn["question"].encode()

    check()


def test_each_value_of_a_choice_is_drawn():
    for kind in Kind:
        wanted = inputs(Signature({"kind": (Kind, InputField()), "answer": (str, OutputField())}))
        assert find(wanted, lambda drawn, kind=kind: drawn["kind"] is kind)


def test_an_input_with_a_default_is_sometimes_left_out():
    kind = Signature({"k": (int, InputField(default=3)), "answer": (str, OutputField())})

    assert find(inputs(kind), lambda drawn: "k" not in drawn) == {}
    assert find(inputs(kind), lambda drawn: "k" in drawn) == {"k": 0}


def test_a_conversation_has_turns_of_the_signatures_fields():
    class Chat(Signature):
        question: str = InputField()
        history: History = InputField()
        answer: str = OutputField()

    drawn = find(inputs(Chat), lambda drawn: len(drawn["history"].messages) == 2)

    assert drawn["history"].messages == [{"question": "", "answer": ""}] * 2


def test_a_strategy_given_for_an_input_replaces_that_of_its_type():
    assert find(inputs("question, k: int -> answer", k=st.just(7)), lambda _: True) == {"question": "", "k": 7}


def test_a_strategy_for_an_unknown_input_is_an_error():
    with pytest.raises(ConfigurationError, match=r"'qestion', which is not an input of .*its inputs: question"):
        inputs("question -> answer", qestion=st.text())


class Handle:
    def __init__(self, port):  # an argument without a type: nothing can make it
        self.port = port


@pytest.mark.parametrize("type_", [Handle, list[Handle], Code])
def test_a_type_without_a_strategy_is_an_error_that_names_its_input(type_):
    kind = Signature({"given": (type_, InputField()), "answer": (str, OutputField())})

    with pytest.raises(ConfigurationError, match=r"the input 'given' has a type without a strategy \(.*inputs\(given="):
        inputs(kind)
