"""How long a provider asks to wait before the next try. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import email.utils
import math
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_EPOCH, _EPOCH_MS = 1e8, 1e11  # larger numbers are timestamps: in seconds, in milliseconds
_PART = re.compile(r"(\d+(?:\.\d+)?) ?(ms|mil|s|m|h|d)")
_DURATION = re.compile(
    r"(?:\d+(?:\.\d+)? ?(?:ms|milliseconds?|s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?) ?)+"
)
_HEADERS_MS = ("retry-after-ms", "x-ms-retry-after-ms")
_HEADERS = ("retry-after", "x-retry-after")
_IN_BODY = ("retrydelay", "retryafter", "retryafterms", "retryafterseconds")
_DEPTH = 6  # how deep a body is searched
_SECONDS = {"ms": 0.001, "mil": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_TRY_AGAIN = re.compile(
    r"\b(?:try again|retry|wait)(?: in| after| for)? (?:about )?([\d.]+ ?[a-z]+[\d.a-z]*)", re.IGNORECASE
)


def seconds_to_wait(headers: Mapping[str, str], message: str, *, is_busy: bool, body: Any = None) -> float | None:
    """Return how many seconds a refusal asks to wait.

    Args:
        headers: The reply's headers; `retry-after` counts for any refusal.
        message: The refusal's text.
        is_busy: Whether it is about a rate limit: then the limit's reset and the message count, too.
        body: The refusal as data, which may have the time in a field of its own.
    """
    for name in _HEADERS_MS:
        milliseconds = _number(headers.get(name))
        if milliseconds is not None:
            return max(0.0, milliseconds / 1000)
    asked = next((seconds for name in _HEADERS if (seconds := _seconds(headers.get(name))) is not None), None)
    if asked is None:
        asked = _in_body(body, 0)
    if asked is None and is_busy:
        asked = _until_reset(headers)
        if asked is None:
            asked = _said(message)
    return asked


def _in_body(data: Any, depth: int) -> float | None:
    """Return the time in a field such as Google's `retryDelay`, at any place in a body."""
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    if depth > _DEPTH:
        return None
    for name, value in data.items() if isinstance(data, dict) else ():
        plain = name.replace("_", "").replace("-", "").lower()
        if plain in _IN_BODY and isinstance(value, str | int | float) and not isinstance(value, bool):
            seconds = _seconds(str(value))
            if seconds is not None:
                return seconds / 1000 if plain.endswith("ms") else seconds
    return next((found for item in inner if (found := _in_body(item, depth + 1)) is not None), None)


def _until_reset(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until the exhausted limits reset; the soonest if it is unclear which they are."""
    used_up: list[float] = []
    others: list[float] = []
    for name in headers:
        low = name.lower()
        if "ratelimit" not in low or "reset" not in low:
            continue
        seconds = _seconds(headers.get(name))
        if seconds is not None:
            (used_up if headers.get(low.replace("reset", "remaining")) == "0" else others).append(seconds)
    return max(used_up) if used_up else min(others, default=None)


def _said(message: str) -> float | None:
    found = _TRY_AGAIN.search(message)
    return _duration(found[1].lower()) if found else None


def _seconds(value: str | None) -> float | None:
    """Read a number of seconds, a duration such as `1m30s`, or a time as a number or a date."""
    if value is None:
        return None
    value = value.strip().strip("\"'")
    number = _number(value)
    if number is None and _DURATION.fullmatch(value.lower()):
        number = _duration(value.lower())
    elif number is None:
        number = _timestamp(value)
    if number is None:
        return None
    if number >= _EPOCH:
        number = (number / 1000 if number >= _EPOCH_MS else number) - time.time()
    return max(0.0, number)


def _duration(text: str) -> float | None:
    parts = _PART.findall(text)
    return sum(float(count) * _SECONDS[unit] for count, unit in parts) if parts else None


def _timestamp(value: str) -> float | None:
    for read in (email.utils.parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
