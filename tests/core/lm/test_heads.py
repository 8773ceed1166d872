"""The headers of a reply are read as the standard library reads them."""

from __future__ import annotations

import http.client
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspex_core.lm.engines.heads import read_headers

NAMES = st.from_regex(r"[A-Za-z-]{1,12}", fullmatch=True)
VALUES = st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=20).map(
    lambda text: text.strip(" \t")
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=8)
BREAKS = st.sampled_from(["\r\n", "\n"])


def by_the_standard_library(head):
    return http.client.parse_headers(io.BytesIO(head)).items()


@given(HEADERS, BREAKS)
def test_names_and_values(headers, end):
    head = "".join(f"{name}: {value}{end}" for name, value in headers) + end
    source = io.BytesIO(head.encode("latin-1") + b"the body")
    assert read_headers(source).items() == headers == by_the_standard_library(head.encode("latin-1"))
    assert source.read() == b"the body"


@pytest.mark.parametrize(
    "lines",
    [
        b"A: 1\r\n continued\r\nB: 2\r\n",
        b"A: 1\r\nno colon\r\nB: 2\r\n",
        b"A : 1\r\nB: 2\r\n",
        b": 1\r\nB: 2\r\n",
        b"A: 1\rB: 2\r\nC: 3\r\n",
        b"Caf\xe9: 1\r\nB: 2\r\n",
    ],
)
def test_odd_lines(lines):
    assert read_headers(io.BytesIO(lines + b"\r\n")).items() == by_the_standard_library(lines + b"\r\n")


def test_names_are_found_in_any_case():
    assert read_headers(io.BytesIO(b"CONTENT-length:5\r\n\r\n"))["Content-Length"] == "5"


def test_spaces_around_a_value_do_not_belong_to_it():
    assert read_headers(io.BytesIO(b"A: \t b c \t\r\n\r\n"))["A"] == "b c"


@pytest.mark.parametrize("head", [b"A: " + b"x" * 70_000 + b"\r\n\r\n", b"A: 1\r\n" * 101 + b"\r\n"])
def test_heads_without_measure_are_refused(head):
    with pytest.raises(http.client.HTTPException):
        read_headers(io.BytesIO(head))
