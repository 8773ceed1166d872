"""JSON as models break it: it is read as it is meant, or not at all."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspex_core import AdapterParseError, JSONAdapter, Signature

SIGNATURE = Signature("q -> title, score: int, tags: list[str]")
VALUES = st.builds(
    lambda title, score, tags: {"score": score, "title": title, "tags": tags},
    st.text("ab +-./\u00e9", max_size=9),
    st.integers(-9, 9999),
    st.lists(st.text("xy ", max_size=3), min_size=1, max_size=3),
)


def read(reply, signature=SIGNATURE):
    return JSONAdapter().parse(signature, reply)


@settings(deadline=None, max_examples=20)
@given(values=VALUES, cut=st.integers(0, 200))
def test_a_reply_that_breaks_off_in_a_text_or_a_list_is_not_read(values, cut):
    whole = json.dumps(values, ensure_ascii=False)
    try:
        found = read(whole[: min(cut, len(whole) - 2)])
    except AdapterParseError:
        return
    assert found == values


@settings(deadline=None, max_examples=20)
@given(values=VALUES)
def test_only_the_last_brace_may_be_missing(values):
    assert read(json.dumps(values)[:-1]) == values


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ('"T" + "U"', "TU"),
        ('"T" +\n "U" + "V"', "TUV"),
        ('"""\na "b"\nc"""', 'a "b"\nc'),
        ("`T`", "T"),
        ("1.10", "1.10"),
        ("1e3", "1e3"),
        ("007", "007"),
        ("2024-03-05", "2024-03-05"),
        ("3.10.2", "3.10.2"),
        ("10/2", "10/2"),
    ],
)
def test_a_text_is_read_however_it_is_written(written, title):
    reply = f'{{"title": {written}, "score": 5, "tags": ["x"]}}'
    assert read(reply) == {"title": title, "score": 5, "tags": ["x"]}


@pytest.mark.parametrize("written", ["2+3", "5-6", "2^3", "3 or 4", "5..6", "1,000,00", "..."])
def test_a_number_that_is_none_is_refused(written):
    with pytest.raises(AdapterParseError, match="score"):
        read(f'{{"title": "T", "score": {written}, "tags": ["x"]}}')


@pytest.mark.parametrize("tags", ['["x", ...]', '["x", \u2026, "y"]', '[..., "x"]'])
def test_a_list_that_leaves_out_items_is_refused(tags):
    with pytest.raises(AdapterParseError):
        read(f'{{"title": "T", "score": 5, "tags": {tags}}}')


def test_numbers_keep_their_text_where_a_text_is_wanted_and_nowhere_else():
    signature = Signature(
        "q -> versions: list[str], rate: float, exact: Decimal, data: dict", custom_types={"Decimal": Decimal}
    )
    found = read(
        '{"versions": [3.10, 2.0], "rate": 1.50, "exact": 0.10000000000000000005, "data": {"a": 1.10}}', signature
    )
    assert found == {
        "versions": ["3.10", "2.0"],
        "rate": 1.5,
        "exact": Decimal("0.10000000000000000005"),
        "data": {"a": 1.1},
    }
    assert type(found["rate"]) is float
    assert type(found["data"]["a"]) is float


SCHEMA = {"title": {"type": "string"}, "note": {"anyOf": [{"type": "string"}, {"type": "null"}]}}


def test_a_schema_that_is_repeated_is_not_an_answer():
    signature = Signature("q -> title, note")
    schema, reply = json.dumps({"type": "object", "properties": SCHEMA}), '{"title": "T", "note": "N"}'
    for text in (f"{schema}\n{reply}", f"{reply}\n{schema}", f"```json\n{schema}\n```\n{reply}"):
        assert read(text, signature) == {"title": "T", "note": "N"}
    for text in (schema, json.dumps(SCHEMA)):
        with pytest.raises(AdapterParseError):
            read(text, signature)


def test_a_schema_with_the_values_in_it_is_an_answer():
    filled = {name: {"type": "string", "value": value} for name, value in {"title": "T", "note": "N"}.items()}
    assert read(json.dumps(filled), Signature("q -> title, note")) == {"title": "T", "note": "N"}


def test_a_dict_may_look_like_a_schema():
    assert read('{"d": {"type": "x"}}', Signature("q -> d: dict[str, str]")) == {"d": {"type": "x"}}


@pytest.mark.parametrize("end", ['x"y', '""', "\\", 'a"b"c"d'])
@pytest.mark.parametrize("mark", ['"', "'"])
def test_a_text_with_escaped_quotes_that_breaks_off_is_not_read(mark, end):
    reply = f"{{{mark}title{mark}: {mark}T" + end.replace("\\", "\\\\").replace('"', f"\\{mark}")
    with pytest.raises(AdapterParseError):
        read(reply, Signature("q -> title"))
