"""The messages between a service and its workers, and the waits between starts of a worker."""

import asyncio
import random
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspex_core.serve.workers.backoff import Backoff
from dspex_core.serve.workers.frames import FrameError, framed, next_message

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(data):
    async def run():
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        found = []
        while (message := await next_message(reader)) is not None:
            found.append(message)
        return found

    return asyncio.run(run())


@settings(max_examples=25)
@given(st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=3))
def test_messages_arrive_as_they_were_sent(messages):
    sent = [{**message, "kind": "call"} for message in messages]
    assert read(b"".join(map(framed, sent))) == sent


@settings(max_examples=25)
@given(st.integers(0, 40))
def test_a_message_that_was_cut_short_is_the_end(size):
    whole = framed({"kind": "call", "text": "x" * 20})
    assert read(whole[: min(size, len(whole) - 1)]) == []


@settings(max_examples=25)
@given(st.binary(min_size=4))
def test_other_bytes_are_an_error_or_the_end(data):
    with suppress(FrameError):
        assert all(isinstance(message["kind"], str) for message in read(data))


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), object()])
def test_only_json_data_is_sent(value):
    with pytest.raises(FrameError):
        framed({"kind": "call", "inputs": value})


def test_waits_double_up_to_a_limit_and_begin_anew():
    backoff = Backoff(0.1, 30, random.Random(0))
    waits = [backoff.seconds() for _ in range(200)]
    assert all(0.05 * 2**number <= wait <= 0.1 * 2**number for number, wait in enumerate(waits[:8]))
    assert all(15 <= wait <= 30 for wait in waits[9:])
    assert len(set(waits[9:])) > 50
    backoff.reset()
    assert backoff.seconds() <= 0.1
