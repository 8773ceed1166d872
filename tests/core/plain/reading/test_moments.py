"""Dates and times that a model has written in another way than ISO 8601 has them."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import pytest
from pydantic import BaseModel

from dspex_core import (
    AdapterParseError,
    ChatAdapter,
    InputField,
    JSONAdapter,
    OutputField,
    Signature,
    Tool,
    ToolArgumentsError,
)

MOMENT = datetime(2024, 3, 5, 10, 30)  # noqa: DTZ001  as models write it


class Event(BaseModel):
    day: date
    start: time | None = None


def signature(kind):
    return Signature({"q": InputField(), "note": (str, OutputField()), "x": (kind, OutputField())})


def read(kind, text):
    return ChatAdapter().parse(signature(kind), f"[[ ## note ## ]]\nn\n[[ ## x ## ]]\n{text}\n[[ ## completed ## ]]")[
        "x"
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2024-03-05 10:30 PM", MOMENT.replace(hour=22)),
        ("2024-03-05 10:30am", MOMENT),
        ("Mon, 2024-03-05 12:30 a.m.", MOMENT.replace(hour=0)),
        ("2024-03-05 at 12:30 P.M.", MOMENT.replace(hour=12)),
        ("2024-03-05, 10:30", MOMENT),
        ("on 2024-03-05 10:30 UTC", MOMENT.replace(tzinfo=UTC)),
        ("2024-03-05 10:30:00 +0100", MOMENT.replace(tzinfo=timezone(timedelta(hours=1)))),
        ("1709634600", MOMENT.replace(tzinfo=UTC)),
    ],
)
def test_a_date_and_time_is_read(written, meant):
    assert read(datetime, written) == meant


@pytest.mark.parametrize(
    "written",
    [
        *("2024-03-05 10:30 EST", "2024-03-05 10:30 (CET)", "2024-03-05 10:30 GMT+2", "not 2024-03-05 10:30"),
        *("2024-03-05 10:30 or 2024-03-05 11:30", "5", "0", "20240305", "20240305103000", "-1"),
    ],
)
def test_a_date_and_time_that_may_be_another_is_refused(written):
    with pytest.raises(AdapterParseError):
        read(datetime, written)


@pytest.mark.parametrize("written", ["before 2024-03-05", "not 2024-03-05", "0", "2024", "86400"])
def test_a_date_that_may_be_another_is_refused(written):
    with pytest.raises(AdapterParseError):
        read(date, written)


@pytest.mark.parametrize("written", ["10.30", "5", "1030", "37800", '"5"'])
def test_a_number_is_not_a_time(written):
    for kind, text in [
        (time, written),
        (time | None, written),
        (list[time], f"[{written}]"),
        (dict[str, time], f'{{"a": {written}}}'),
        (Event, f'{{"day": "2024-03-05", "start": {written}}}'),
    ]:
        with pytest.raises(AdapterParseError, match="is a number, not a time"):
            read(kind, text)


def test_numbers_stay_where_they_are_wanted():
    assert read(dict[str, Any], '{"a": 5}') == {"a": 5}
    assert read(int | date, "5") == 5
    assert JSONAdapter().parse(signature(date | str), '{"note": "n", "x": "5"}')["x"] == "5"


def test_a_tool_takes_no_number_for_a_time():
    def book(at: time) -> str:
        return at.isoformat()

    assert Tool(book)(at="10:30") == "10:30:00"
    with pytest.raises(ToolArgumentsError, match="is a number, not a time"):
        Tool(book)(at=10.30)
