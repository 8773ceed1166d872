"""Tool results as text for a model. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from typing import Any

from dspex_core.example import Record
from dspex_core.plain.display import error_text, value_text
from dspex_core.plain.sets import TooManyItemsError, with_ordered_sets

MAX_CHARACTERS = 100_000


def as_observation(value: Any, *, limit: int = MAX_CHARACTERS) -> str:
    """Write any value for a model: text unchanged, errors as kind and message, data as JSON.

    Args:
        value: What a tool returned or raised.
        limit: The number of characters to keep; a note says how many are left out.
    """
    text = _text(value)
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n[cut: {len(text) - limit} of {len(text)} characters are left out]"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, BaseException):
        return error_text(value)
    from pydantic_core import to_jsonable_python  # a dependency of pydantic, which every tool has loaded

    try:
        return json.dumps(to_jsonable_python(with_ordered_sets(value), fallback=_plain), ensure_ascii=False)
    except TooManyItemsError as error:
        return error_text(error)
    except Exception:  # noqa: BLE001  it contains itself, or bytes that are not text; or a method of a user's fails
        return _shown(value)


def _plain(value: Any) -> Any:
    return value.toDict() if isinstance(value, Record) else _shown(value)


def _shown(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001  the class is the user's
        return value_text(value, MAX_CHARACTERS)
