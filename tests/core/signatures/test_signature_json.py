import datetime as dt
import functools
import json
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saved_programs import Mood, Place, Read

from dspex_core import InputField, OutputField, Signature
from dspex_core.errors import ArtifactError
from dspex_core.signatures.stored import signature_from_json, signature_to_json
from dspex_core.storage.class_paths import find_class

find = functools.partial(find_class, allow_import=False)


def again(signature):
    return signature_from_json(json.loads(json.dumps(signature_to_json(signature))), find)


def with_type(type_):
    return Signature({"x": InputField(desc="given"), "y": (type_, OutputField())}, "Do it.")


def test_a_class_comes_back_with_all_it_says():
    assert again(Read).equals(Read)
    assert again(Read).fields["stars"].constraints == {"ge": 1, "le": 5}
    assert again(Read).fields["hints"].default is None


leaves = st.sampled_from(
    [str, int, float, bool, bytes, type(None), Any, Place, Mood, dt.date, list, Literal["a", 1, "->, x"]]
)
types = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(lambda one: list[one]),
        inner.map(lambda one: tuple[one, ...]),
        st.tuples(inner, inner).map(lambda two: tuple[two]),
        inner.map(lambda one: dict[str, one]),
        inner.map(lambda one: Optional[one]),  # noqa: UP045  None is one of the values
        st.tuples(inner, inner).map(lambda two: Union[two]),  # noqa: UP007  as above
    ),
    max_leaves=5,
)


@given(type_=types)
def test_types_come_back_as_they_were(type_):
    found = again(with_type(type_))

    assert found.fields["y"].annotation == type_
    assert found.instructions == "Do it."


@pytest.mark.parametrize(
    "type_",
    [Sequence[int], Mapping[str, Place], Sequence, typing.List[int], dict],  # noqa: UP006  users write it
)
def test_other_spellings_come_back_as_the_same_type(type_):
    found = again(with_type(type_))

    assert found.fields["y"].json_schema() == with_type(type_).fields["y"].json_schema()


@pytest.mark.parametrize("type_", [Literal[Mood.GOOD], typing.NewType("Name", str), tuple[()], typing.TypeVar("T")])
def test_types_without_a_name_are_refused(type_):
    with pytest.raises(ArtifactError, match="the type of 'y' cannot be stored"):
        signature_to_json(with_type(type_))
