"""Any value as JSON data. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from typing import Any

from dspex_core.plain.sets import with_ordered_sets


def to_json(value: Any) -> Any:
    """Return a value as JSON data: pydantic models, dataclasses, dates and enums included; sets in order."""
    from pydantic_core import to_jsonable_python  # comes with pydantic, which signatures load when needed

    return to_jsonable_python(with_ordered_sets(value), fallback=str)


def json_text(data: Any) -> str:
    """Return JSON data as a text: a text as it is, anything else as JSON."""
    return data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
