"""Dates and times as models write them. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

_MAX_TEXT = 200  # characters of a text in which a date is looked for
_DATE = re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)")
_DATETIME = re.compile(
    r"(?<!\d)(?P<date>\d{4}-\d{2}-\d{2})(?:T|,? (?:at )?)(?P<hour>\d{2})(?P<rest>:\d{2}(?::\d{2}(?:\.\d+)?)?)"
    r"(?:\s?(?P<half>[AP])\.?M\b\.?)?\s?(?:(?P<utc>Z|UTC|GMT)\b|(?P<zone>[+-]\d{2}:?\d{2}))?(?!\d)",
    re.IGNORECASE,
)
_OTHER_ZONE = re.compile(r"\s?(?:\(?[A-Z]{2,5}\b|[+-]\s?\d)")
_RELATIVE = re.compile(r"\b(?:not|never|before|after|until|between|or)\b", re.IGNORECASE)
_NOON = 12


def moments_meant(kind: Any, text: str) -> list[str]:
    """Return the one date, or date and time, in a text, as ISO 8601 has it."""
    if kind not in (date, datetime) or len(text) > _MAX_TEXT or _RELATIVE.search(text):
        return []
    if kind is date:
        found = _DATE.findall(text)
        return found if len(found) == 1 else []
    moments = list(_DATETIME.finditer(text))
    if len(moments) != 1 or _OTHER_ZONE.match(text, moments[0].end()):
        return []
    return [_iso(moments[0])]


def _iso(found: re.Match[str]) -> str:
    hour = int(found["hour"])
    if found["half"] and hour <= _NOON:
        hour = hour % _NOON + _NOON * (found["half"] in "Pp")
    return f"{found['date']}T{hour:02}{found['rest']}{'Z' if found['utc'] else found['zone'] or ''}"
