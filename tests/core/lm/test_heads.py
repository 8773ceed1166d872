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


def test_a_header_may_go_on_in_the_next_line():
    lines = b"A: 1\r\n continued\r\n\tagain\r\nContent-Length:\r\n 7\r\n\r\n"
    assert read_headers(io.BytesIO(lines)).items() == [("A", "1  continued \tagain"), ("Content-Length", "7")]


def test_a_space_after_a_name_does_not_belong_to_it():
    assert read_headers(io.BytesIO(b"A : 1\r\nB\t: 2\r\n\r\n")).items() == [("A", "1"), ("B", "2")]


@pytest.mark.parametrize("line", [b"no colon", b": 1", b" : 1", b" continues nothing: 1", b"A: 1\rContent-Length: 2"])
def test_what_is_not_a_header_is_refused_not_passed_over(line):
    with pytest.raises(http.client.HTTPException):
        read_headers(io.BytesIO(line + b"\r\nContent-Length: 7\r\n\r\n"))


def test_names_are_found_in_any_case():
    assert read_headers(io.BytesIO(b"CONTENT-length:5\r\n\r\n"))["Content-Length"] == "5"


def test_spaces_around_a_value_do_not_belong_to_it():
    assert read_headers(io.BytesIO(b"A: \t b c \t\r\n\r\n"))["A"] == "b c"


@pytest.mark.parametrize("head", [b"A: " + b"x" * 70_000 + b"\r\n\r\n", b"A: 1\r\n" * 101 + b"\r\n"])
def test_heads_without_measure_are_refused(head):
    with pytest.raises(http.client.HTTPException):
        read_headers(io.BytesIO(head))
