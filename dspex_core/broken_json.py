"""JSON that a model has broken. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dspex_core.foreign_code import foreign_code

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_UNCLOSED = 100  # more is a model caught in a loop, on which json-repair would take seconds


def repaired(text: str) -> Iterator[Any]:
    """Yield the one value that a broken JSON text seems to mean, or nothing."""
    with foreign_code():
        from json_repair import repair_json  # only broken replies need it

    if text.count("{") + text.count("[") - text.count("}") - text.count("]") <= _MAX_UNCLOSED:
        with suppress(Exception):  # some replies make it trip over its own assertions
            with foreign_code():
                value = repair_json(text, return_objects=True, skip_json_loads=True)
            yield value
