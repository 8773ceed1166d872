"""Demos of any type that a signature takes: bootstrapped, saved and restored as what they were."""

import dataclasses
import datetime as dt
import decimal
import enum
import json
import uuid
from typing import Literal

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dspex_core as dspy
from dspex_core import context
from dspex_core.lm.scripted import ScriptedLM


class Color(enum.Enum):
    RED = "red"
    DARK_BLUE = "dark blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Unit(enum.StrEnum):
    METER = "m"
    SECOND = "s"


@dataclasses.dataclass
class Point:
    x: int
    color: Color
    day: dt.date | None = None


class Person(pydantic.BaseModel):
    name: str
    born: dt.date
    height: decimal.Decimal
    places: list[Point] = []


class Team(pydantic.BaseModel):
    lead: Person
    members: dict[str, Person]


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-1000, max_value=1000)
POINTS = st.builds(Point, x=st.integers(-9, 9), color=st.sampled_from(Color), day=st.none() | st.dates())
PEOPLE = st.builds(Person, name=TEXTS, born=st.dates(), height=DECIMALS, places=st.lists(POINTS, max_size=2))
TEAMS = st.builds(Team, lead=PEOPLE, members=st.dictionaries(TEXTS, PEOPLE, max_size=2))

SCALARS = [
    (str, TEXTS),
    (int, st.integers()),
    (bool, st.booleans()),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (Literal["a", "b"], st.sampled_from(["a", "b"])),
    (Color, st.sampled_from(Color)),
    (Level, st.sampled_from(Level)),
    (Unit, st.sampled_from(Unit)),
    (dt.date, st.dates()),
    (dt.datetime, st.datetimes()),
    (dt.time, st.times()),
    (dt.timedelta, st.timedeltas(dt.timedelta(-99), dt.timedelta(99))),
    (decimal.Decimal, DECIMALS),
    (uuid.UUID, st.uuids()),
    (Point, POINTS),
    (Person, PEOPLE),
    (Team, TEAMS),
]


def wrapped(inner):
    """Make containers and unions of types."""
    pairs = st.tuples(inner, inner)
    return st.one_of(
        inner.map(lambda one: (list[one[0]], st.lists(one[1], max_size=2))),
        inner.map(lambda one: (dict[str, one[0]], st.dictionaries(TEXTS, one[1], max_size=2))),
        inner.map(lambda one: (one[0] | None, st.none() | one[1])),
        pairs.map(lambda two: (two[0][0] | two[1][0], two[0][1] | two[1][1])),
        pairs.map(lambda two: (tuple[two[0][0], two[1][0]], st.tuples(two[0][1], two[1][1]))),
    )


KINDS = st.recursive(st.sampled_from(SCALARS), wrapped, max_leaves=3)


@st.composite
def tasks(draw, kinds=KINDS):
    """Draw the types of an input and of an output, with a value of each."""
    (asked, asked_values), (answered, answered_values) = draw(kinds), draw(kinds)
    return asked, draw(asked_values), answered, draw(answered_values)


def same(one, other):
    """Whether two values are equal, and of the same types at any depth."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, pydantic.BaseModel):
        return same(dict(one), dict(other))
    if dataclasses.is_dataclass(one):
        return same(vars(one), vars(other))
    return one == other


def program_of(asked, answered):
    return dspy.Predict(dspy.Signature({"asked": (asked, dspy.InputField()), "answer": (answered, dspy.OutputField())}))


def restored(program, asked, answered, folder):
    """Save a program and load it into a new one of the same signature."""
    path = folder / "program.json"
    program.save(path)
    json.loads(path.read_text())
    fresh = program_of(asked, answered)
    fresh.load(path)
    return fresh


LIMITS = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@LIMITS
@given(task=tasks())
def test_labeled_demos_come_back_as_what_they_were(tmp_path_factory, task):
    asked, value, answered, label = task
    row = dspy.Example(asked=value, answer=label).with_inputs("asked")

    program = dspy.LabeledFewShot(k=1).compile(program_of(asked, answered), trainset=[row])

    (demo,) = restored(program, asked, answered, tmp_path_factory.mktemp("labeled")).demos
    assert same(demo.asked, value)
    assert same(demo.answer, label)


@LIMITS
@given(task=tasks())
def test_bootstrapped_demos_come_back_as_what_they_were(tmp_path_factory, task):
    asked, value, answered, label = task
    row = dspy.Example(asked=value, answer=label).with_inputs("asked")
    student = program_of(asked, answered)

    reply = {"answer": pydantic.TypeAdapter(answered).dump_python(label, mode="json")}

    with context(lm=ScriptedLM(lambda request: reply)):
        answer = student(asked=value).answer
        program = dspy.BootstrapFewShot(max_labeled_demos=0).compile(student, trainset=[row])

    assert same(program.demos[0].asked, value)
    assert same(program.demos[0].answer, answer)
    (demo,) = restored(program, asked, answered, tmp_path_factory.mktemp("bootstrapped")).demos
    assert same(demo.asked, value)
    assert same(demo.answer, answer)


@pytest.mark.parametrize("kind", [dspy.Image, list[dspy.Image], dspy.Image | None, dict[str, dspy.Image]])
def test_demos_with_images_come_back_as_what_they_were(tmp_path, kind):
    image = dspy.Image("data:image/png;base64,iVBORw0KGgo=")
    value = {list[dspy.Image]: [image, image], dict[str, dspy.Image]: {"a": image}}.get(kind, image)
    row = dspy.Example(asked=value, answer="a cat").with_inputs("asked")

    with context(lm=ScriptedLM(lambda request: {"answer": "a cat"})):
        program = dspy.BootstrapFewShot(max_labeled_demos=0).compile(program_of(kind, str), trainset=[row])

    (demo,) = restored(program, kind, str, tmp_path).demos
    assert same(demo.asked, value)
