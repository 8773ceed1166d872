"""Server-sent events, in the pieces in which a network may deliver them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspex_core.lm.engines.events import EventParser


def parsed(*reads):
    parser = EventParser()
    return [data for read in reads for data in parser.feed(read)] + parser.end()


TEXTS = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs", "Zs", "Cc"]), min_size=1)


@given(st.lists(TEXTS), st.sampled_from(["\n", "\r\n"]), st.data())
def test_events_are_found_however_the_stream_is_cut(texts, newline, data):
    stream = "".join(f": keep-alive{newline}event: x{newline}data: {text}{newline}{newline}" for text in texts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reads = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [read.decode() for read in parsed(*reads)] == texts


@pytest.mark.parametrize(
    ("stream", "found"),
    [
        (b"data: a\n\ndata:b\n\n", [b"a", b"b"]),
        (b": comment\n\n\n\ndata: a\n\n", [b"a"]),
        (b"event: ping\nid: 7\nretry: 100\n\ndata: a\n\n", [b"a"]),
        (b'data: {"a":\ndata: 1}\n\n', [b'{"a":\n1}']),
        (b"data: a\n\ndata: [DONE]", [b"a", b"[DONE]"]),
        (b"data: a\n\ndata: b\n", [b"a", b"b"]),
        (b"", []),
    ],
)
def test_what_else_a_stream_may_hold_is_passed_over(stream, found):
    assert parsed(stream) == found
