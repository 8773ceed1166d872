"""Demos of any type are saved and loaded as they were, and show the same prompt."""

import dataclasses
import datetime as dt
import enum
import json
import math
import pathlib
import uuid
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypedDict, TypeVar, Union

import numpy as np
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspex_core import (
    ArtifactError,
    BootstrapFewShot,
    ChatAdapter,
    Example,
    Image,
    InputField,
    JSONAdapter,
    OutputField,
    Predict,
    ScriptedLM,
    Signature,
    XMLAdapter,
    context,
)

T = TypeVar("T")


class Kind(enum.Enum):
    DELIVERY = "delivery"
    REFUND = ("re", "fund")


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(enum.StrEnum):
    YES = "yes"
    NO = "no"


class Right(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass(frozen=True)
class Point:
    x: float
    when: dt.date | None = None


class Pair(NamedTuple):
    left: int
    right: Decimal


class Row(TypedDict):
    day: dt.date
    kinds: list[Kind]


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(alias="fullName")
    born: dt.date | None = None
    _seen: int = pydantic.PrivateAttr(default=0)

    def model_post_init(self, _: Any) -> None:
        self._seen = 7


class Named(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    label: str = pydantic.Field(validation_alias="in", serialization_alias="out")

    @pydantic.computed_field
    @property
    def size(self) -> int:
        return len(self.label)


class Cat(pydantic.BaseModel):
    kind: Literal["cat"] = "cat"
    lives: Decimal


class Dog(pydantic.BaseModel):
    kind: Literal["dog"] = "dog"
    tags: frozenset[str] = frozenset()


class Box(pydantic.BaseModel, Generic[T]):
    content: T
    raw: bytes = b""


class Base(pydantic.BaseModel):
    a: int


class Derived(Base):
    b: dt.time


class First(pydantic.BaseModel):
    x: int


class Second(pydantic.BaseModel):
    x: int


def signature_of(type_):
    return Signature({"given": (type_, InputField()), "found": (type_, OutputField())})


def again(type_, value, tmp_path):
    """Save a program with a demo, load it, and return the demo's value, once the prompts are seen to be equal."""
    signature, path = signature_of(type_), tmp_path / "program.json"
    program, loaded = Predict(signature), Predict(signature)
    program.demos = [{"given": value, "found": value}]
    program.save(path)
    loaded.load(path)
    assert prompts(loaded) == prompts(program)
    assert json.dumps(loaded.dump_state()) == json.dumps(program.dump_state())
    return loaded.demos[0]["found"]


def prompts(program):
    shown = []
    for adapter in (ChatAdapter(), JSONAdapter(), XMLAdapter()):
        try:
            shown.append(adapter.format(program.signature, program.demos, {}))
        except (ValueError, TypeError) as error:  # bytes that are no text, for one
            shown.append(type(error))
    return shown


def equal(found, value):
    if isinstance(value, np.ndarray):
        return found.dtype == value.dtype and np.array_equal(found, value)
    return found == value or repr(found) == repr(value)  # NaN is equal to nothing


CASES = [
    (Kind, Kind.REFUND),
    (Level, Level.HIGH),
    (Word, Word.YES),
    (Right, Right.READ),
    (Right, Right.READ | Right.WRITE),
    (dt.date, dt.date(2024, 3, 1)),
    (dt.datetime, dt.datetime(2024, 3, 1, 10, 30, 1, 5)),  # noqa: DTZ001  one without a zone
    (dt.datetime, dt.datetime(2024, 3, 1, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=45)))),
    (dt.time, dt.time(10, 30, tzinfo=dt.UTC)),
    (dt.timedelta, dt.timedelta(days=-1, microseconds=1)),
    (Decimal, Decimal("12.5000")),
    (Decimal, Decimal("1234567890.12345678901234567890")),
    (uuid.UUID, uuid.UUID(int=5)),
    (pathlib.Path, pathlib.Path("/tmp/x")),
    (bytes, b"text"),
    (bytes, b"\xff\x00"),
    (complex, 1 + 2j),
    (Fraction, Fraction(1, 3)),
    (float, math.nan),
    (float, -math.inf),
    (list[int], [10**5000]),
    (str, "half \udc80 of a pair"),
    (str, "\x00\x1b[31m"),
    (Point, Point(1.5, dt.date(2024, 1, 1))),
    (Point, Point(math.inf)),
    (Pair, Pair(1, Decimal("2.50"))),
    (Row, {"day": dt.date(2024, 1, 1), "kinds": [Kind.REFUND]}),
    (Person, Person(fullName="Ann", born=dt.date(1990, 1, 1))),
    (Named, Named(**{"in": "x"})),
    (list[Named], [Named(**{"in": "x"})]),
    (Annotated[Cat | Dog, pydantic.Field(discriminator="kind")], Dog(tags=frozenset({"b", "a"}))),
    (list[Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]], [Cat(lives=Decimal("9.0"))]),
    (Box[Kind], Box[Kind](content=Kind.REFUND)),
    (Box[list[Point]], Box[list[Point]](content=[Point(2.0)], raw=b"\xfe")),
    (Base, Derived(a=1, b=dt.time(1))),
    (First | Second, Second(x=1)),
    (list[First | Second], [Second(x=1), First(x=2)]),
    (set[int], {3, 1, 2}),
    (frozenset[Kind], frozenset(Kind)),
    (tuple[int, ...], (1, 2)),
    (tuple[Kind, dt.date], (Kind.DELIVERY, dt.date(2024, 1, 1))),
    (list[Kind], [Kind.DELIVERY]),
    (dict[str, dt.date], {"due": dt.date(2024, 3, 1)}),
    (dict[int, Kind], {1: Kind.REFUND}),
    (dict[Kind, Decimal], {Kind.DELIVERY: Decimal("1.0")}),
    (dict[tuple[int, int], str], {(1, 2): "x"}),
    (Sequence[dt.date], [dt.date(2024, 1, 1)]),
    (Optional[Kind], Kind.REFUND),  # noqa: UP045  users write it
    (Kind | None, None),
    (dt.date | str, dt.date(2024, 3, 1)),
    (dt.date | str, "2024-03-01"),
    (Union[int, str], "1"),  # noqa: UP007  users write it
    (Union[Decimal, float], Decimal("1.5")),  # noqa: UP007  users write it
    (Any, dt.date(2024, 3, 1)),
    (Any, {"$dspex": "date", "value": "no date"}),  # a dict of the user's that looks like a stored value
    (Any, [(1, 2), {3}, {4: b"x"}]),
    (list, [dt.date(2024, 3, 1), Decimal("1.50")]),
    (dict, {"x": dt.timedelta(1), 1: math.nan}),
    (np.float64, np.float64(0.1)),
    (np.ndarray, np.arange(6, dtype=np.int16).reshape(2, 3)),
    (Any, np.float32(0.5)),
    (Image, Image("data:image/png;base64,aGVsbG8=")),
    (list[Image], [Image("https://example.com/x.png")]),
]


@pytest.mark.parametrize(("type_", "value"), CASES)
def test_a_value_comes_back_as_it_was(type_, value, tmp_path):
    found = again(type_, value, tmp_path)

    assert type(found) is type(value)
    assert equal(found, value)


scalars = {
    bool: st.booleans(),
    int: st.integers(),
    float: st.floats(),
    str: st.text(st.characters()),
    bytes: st.binary(max_size=4),
    dt.date: st.dates(),
    dt.datetime: st.datetimes(timezones=st.none() | st.just(dt.UTC)).map(lambda moment: moment.replace(fold=0)),
    dt.time: st.times().map(lambda moment: moment.replace(fold=0)),
    dt.timedelta: st.timedeltas(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    uuid.UUID: st.uuids(),
    Kind: st.sampled_from(Kind),
    Level: st.sampled_from(Level),
    Point: st.builds(Point, st.floats(), st.none() | st.dates()),
    type(None): st.none(),
}
leaves = st.sampled_from(list(scalars)).map(lambda kind: (kind, scalars[kind]))


def pairs(inner):
    """Strategies of a type and of its values."""
    return st.one_of(
        inner.map(lambda one: (list[one[0]], st.lists(one[1], max_size=3))),
        inner.map(lambda one: (tuple[one[0], ...], st.lists(one[1], max_size=3).map(tuple))),
        inner.map(lambda one: (dict[str, one[0]], st.dictionaries(st.text(max_size=2), one[1], max_size=2))),
        inner.map(lambda one: (dict[int, one[0]], st.dictionaries(st.integers(), one[1], max_size=2))),
        st.tuples(inner, inner).map(lambda two: (two[0][0] | two[1][0] | None, two[0][1] | two[1][1])),
    )


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_value_of_any_type_comes_back_and_shows_the_same_prompt(data, tmp_path_factory):
    type_, values = data.draw(st.recursive(leaves, pairs, max_leaves=4))
    value = data.draw(values)
    found = again(type_, value, tmp_path_factory.mktemp("demo"))

    fitting = signature_of(type_).fields["found"].validate(value)
    assert type(found) is type(fitting)
    assert repr(found) == repr(fitting)


class Odd:
    """A class that neither JSON nor pydantic knows."""

    def __str__(self):
        return "odd"


@pytest.mark.parametrize("value", [Odd(), Kind.REFUND, [Odd()], {"x": lambda: 1}, Example(x=1)])
def test_what_has_no_form_is_saved_as_the_prompt_shows_it_and_said(value, tmp_path, caplog):
    program, loaded = Predict("given -> found: Any"), Predict("given -> found: Any")
    program.demos = [{"given": "x", "found": value}]
    program.save(tmp_path / "p.json")
    loaded.load(tmp_path / "p.json")

    assert prompts(loaded) == prompts(program)
    assert "without its type" in caplog.text


@pytest.mark.parametrize(("type_", "value"), [(Kind, "delivery"), (int, "many"), (Literal["a"], "b"), (dt.date, "1st")])
def test_a_label_that_does_not_fit_its_field_is_kept_as_it_is(type_, value, tmp_path):
    assert again(type_, value, tmp_path) in (value, Kind.DELIVERY)


def test_fields_that_the_signature_lacks_are_kept(tmp_path):
    program, loaded = Predict("given -> found"), Predict("given -> found")
    program.demos = [Example(given="x", found="y", day=dt.date(2024, 1, 1), odd=math.nan, augmented=True)]
    program.save(tmp_path / "p.json")
    loaded.load(tmp_path / "p.json")

    assert loaded.demos[0]["day"] == dt.date(2024, 1, 1)
    assert math.isnan(loaded.demos[0]["odd"])


def test_a_file_cannot_name_a_class_that_the_type_does_not_have(tmp_path):
    path, signature = tmp_path / "p.json", signature_of(First | Second)
    program = Predict(signature)
    program.demos = [{"given": Second(x=1), "found": Second(x=1)}]
    program.save(path)
    path.write_text(path.read_text().replace('"Second"', '"Cat"'))

    with pytest.raises(ArtifactError, match="has nothing of the kind 'Cat'"):
        Predict(signature).load(path)


@pytest.mark.parametrize(
    "stored",
    [
        {"$dspex": "date", "value": "no date"},
        {"$dspex": "Decimal", "value": "x"},
        {"$dspex": "no kind", "value": 1},
        {"$dspex": 3},
        {"$dspex": "dict", "value": [[1]]},
        {"$dspex": "tuple", "value": 1},
        {"$dspex": "set", "value": [[]]},
        {"$dspex": "numpy", "value": {"dtype": "O", "shape": [1], "bytes": "", "scalar": False}},
        {"$dspex": "bytes", "value": "!"},
        {"$dspex": "object", "class": "Popen", "value": {}},
        {"$dspex": "raw", "value": {"$dspex": "int", "value": None}},
    ],
)
def test_damage_is_an_error_that_names_the_demo(stored, tmp_path):
    path = tmp_path / "p.json"
    program = Predict("given -> found: Any")
    program.demos = [{"given": "x", "found": "y"}]
    program.save(path)
    path.write_text(path.read_text().replace('"y"', json.dumps(stored)))

    with pytest.raises(ArtifactError, match="demo 0: "):
        Predict("given -> found: Any").load(path)


def test_what_a_model_answered_is_saved_with_the_compiled_program(tmp_path):
    signature = Signature({"text": InputField(), "found": (dict[str, Kind | dt.date], OutputField())})
    with context(lm=ScriptedLM(lambda _: {"found": {"a": "delivery", "b": "2024-03-01"}})):
        compiled = BootstrapFewShot(lambda *_: True, max_labeled_demos=0).compile(
            Predict(signature), trainset=[Example(text="a").with_inputs("text")]
        )
    compiled.save(tmp_path / "p.json")
    loaded = Predict(signature)
    loaded.load(tmp_path / "p.json")

    assert loaded.demos[0]["found"] == {"a": Kind.DELIVERY, "b": dt.date(2024, 3, 1)}
    assert prompts(loaded) == prompts(compiled)


@pytest.mark.parametrize(("type_", "value"), CASES)
def test_dspys_files_have_plain_data(type_, value, tmp_path):
    program = Predict(signature_of(type_))
    program.demos = [{"given": value, "found": value}]

    program.save(tmp_path / "p.json", format="dspy")

    [demo] = json.loads((tmp_path / "p.json").read_text())["demos"]
    assert "$dspex" not in json.dumps(demo) or "no date" in json.dumps(demo)  # a dict of the user's with such a key
