"""Values of fields in prompts of proposers: as JSON, with long ones cut. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dspex_core.plain.data import json_text
from dspex_core.programs.demos.stored import plain_demo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.example import Record

_LONGEST = 2000  # characters of a value


def values_in_words(values: Mapping[str, Any] | Record) -> str:
    """Return values by name, of any types, as one line of JSON."""
    return json.dumps({name: _shortened(value) for name, value in plain_demo(values).items()}, ensure_ascii=False)


def _shortened(value: Any) -> Any:
    text = json_text(value)
    return value if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
