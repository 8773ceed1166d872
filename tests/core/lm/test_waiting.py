"""How long a provider asks to wait, in each of its forms."""

import email.utils
import time
from functools import partial

import pytest

from dspex_core.lm.engines.waiting import seconds_to_wait

HOUR = 3600


def in_an_hour(write):
    """Return what writes the time in an hour when the test runs, which may be long after it was collected."""
    return lambda: write(time.time() + HOUR)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": " 2s "}, 2),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "5 seconds"}, 5),
        ({"retry-after": '"1 minute"'}, 60),
        ({"x-retry-after": "7"}, 7),
        ({"x-ms-retry-after-ms": "250"}, 0.25),
        ({"retry-after": "-3"}, 0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": in_an_hour(partial(email.utils.formatdate, usegmt=True))}, HOUR),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan", "retry-after-ms": "inf"}, None),
        ({"x-ratelimit-reset-requests": "1m30s"}, 90),
        ({"x-ratelimit-reset-tokens": "120ms", "x-ratelimit-reset-requests": "6m0s"}, 0.12),
        (
            {
                "x-ratelimit-reset-tokens": "120ms",
                "x-ratelimit-reset-requests": "40s",
                "x-ratelimit-remaining-requests": "0",
            },
            40,
        ),
        ({"X-RateLimit-Reset": in_an_hour(lambda at: str(int(at * 1000)))}, HOUR),
        ({"x-ratelimit-reset": in_an_hour(lambda at: str(int(at)))}, HOUR),
        ({"anthropic-ratelimit-requests-reset": "2020-01-01T00:00:00Z"}, 0),
        ({}, None),
    ],
)
def test_it_is_read_from_the_headers(headers, seconds):
    headers = {name: value() if callable(value) else value for name, value in headers.items()}
    found = seconds_to_wait(headers, "", is_busy=True)
    assert found == (seconds if seconds is None else pytest.approx(seconds, abs=5 if seconds == HOUR else 0.001))


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Rate limit reached. Please try again in 20s. Visit", 20),
        ("Please try again in 6m0s.", 360),
        ("Please try again in 850ms", 0.85),
        ("Please retry after 26 seconds.", 26),
        ("please try again after 1 minutes", 60),
        ("Please try again later", None),
        ("", None),
    ],
)
def test_or_from_the_words(message, seconds):
    assert seconds_to_wait({}, message, is_busy=True) == (seconds if seconds is None else pytest.approx(seconds))


def test_only_a_limit_of_requests_has_a_reset():
    assert seconds_to_wait({"x-ratelimit-reset": "9"}, "try again in 20s", is_busy=False) is None
    assert seconds_to_wait({"retry-after": "9"}, "", is_busy=False) == 9


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"error": {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}]}}, 34),
        ([{"error": {"details": [{"retryDelay": "1.5s"}]}}], 1.5),
        ({"message": "slow down", "retry_after": 12.5}, 12.5),
        ({"retry_after_ms": 250}, 0.25),
        ({"retryAfter": "soon", "error": {"retry-after": "3"}}, 3),
        ({"retry_after": None, "error": [True]}, None),
    ],
)
def test_it_is_read_from_the_body(body, seconds):
    assert seconds_to_wait({}, "", is_busy=False, body=body) == seconds
    assert seconds_to_wait({"retry-after": "1"}, "", is_busy=False, body=body) == 1
