"""A recorded call, and the error of a cassette that cannot be read. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dspex_core import DSPexError

if TYPE_CHECKING:
    from pathlib import Path

    from dspex_core.plugin_api import Json

_REQUIRED = {"key": str, "model": str, "case": str, "request": dict, "response": dict}
_OPTIONAL = {"number": int, "recorded": str}
# JSON allows these characters unescaped, but UTF-8 has no surrogates and many tools end a line at the others.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class CassetteError(DSPexError):
    """A cassette cannot be read; `path` and `line` (1-based) say where."""

    def __init__(self, message: str, *, path: Path, line: int | None = None) -> None:
        self.path = path
        self.line = line
        super().__init__(f"{path}: {message}" if line is None else f"{path}:{line}: {message}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One recorded call.

    Args:
        key: The hash of the model, the case and the request; of the n-th equal request with a label (`repeats`).
        model: The model of the call.
        case: The id of the test case that made the call.
        request: The stored form of the request.
        response: The stored form of the response.
        number: The number of equal requests of the case before this one.
        recorded: The date (ISO, UTC) since which the response is known to be this one; empty if it is not known.
    """

    key: str
    model: str
    case: str
    request: Json
    response: Json
    number: int = 0
    recorded: str = field(default="", compare=False)

    def to_json(self) -> Json:
        """Return the whole entry, as shards keep it."""
        stored: Json = {
            "key": self.key,
            "model": self.model,
            "case": self.case,
            "request": self.request,
            "response": self.response,
        }
        more = {"number": self.number, "recorded": self.recorded}
        return {**stored, **{name: value for name, value in more.items() if value}}

    @classmethod
    def from_json(cls, stored: Any) -> Entry:
        """Return the entry of a stored form.

        Raises:
            ValueError: It is not one.
        """
        types = {name: type(value) for name, value in stored.items()} if isinstance(stored, dict) else {}
        if types != {**_REQUIRED, **{name: kind for name, kind in _OPTIONAL.items() if name in types}}:
            raise ValueError("not a cassette entry (key, model and case must be strings, request and response objects)")
        return cls(**stored)


def line_of(value: Any, *, is_sorted: bool = True) -> str:
    """Return JSON data as one line of text, the same for equal data."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=is_sorted, default=repr)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def oldest_date(max_age: int | None) -> str:
    """Return the first date (ISO, UTC) of which a response is not too old; an empty text if none is."""
    return "" if max_age is None else (dt.datetime.now(dt.UTC).date() - dt.timedelta(days=max_age)).isoformat()
