"""The ids of rows: their own, or else made from their content. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from dspex_core.example import plain
from dspex_core.plain.described import described

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.datasets.places import Place
    from dspex_core.example import Record

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def content_id(values: Mapping[str, Any] | Record) -> str:
    """Return an id that depends on the names and values of a row alone: the same in each file, place and process."""
    row = values if type(values) is dict else plain(dict(values.items()))  # without DSPy's own, which are random
    try:
        text = _encode(row)
    except (TypeError, ValueError):  # values that JSON does not have
        text = _encode(described(row))
    return f"row-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"


class Ids:
    """The ids of the rows read so far.

    Args:
        keeps_places: Whether to know where each id was; else 70 bytes are kept for a row.
    """

    def __init__(self, *, keeps_places: bool) -> None:
        self._places: dict[str, Place] | None = {} if keeps_places else None
        self._hashes: set[int] = set()
        self._repeats: dict[str, int] = {}

    def repeated(self, row_id: str, place: Place) -> str | None:
        """Note an id; return where it was before, if it was."""
        if self._places is not None:
            first = self._places.setdefault(row_id, place)
            if first is place:
                return None
            return f"{first} of {first.path}" if first.path != place.path else str(first)
        if self._is_new(row_id):
            return None
        return "an earlier row"

    def of_content(self, values: Mapping[str, Any] | Record, place: Place) -> str:
        """Return the id of a row that has none; rows of the same content are numbered."""
        base = found = content_id(values)
        while self.repeated(found, place) is not None:
            self._repeats[base] = self._repeats.get(base, 1) + 1
            found = f"{base}-{self._repeats[base]}"
        return found

    def _is_new(self, row_id: str) -> bool:
        before = len(self._hashes)
        self._hashes.add(hash(row_id))
        return len(self._hashes) > before
