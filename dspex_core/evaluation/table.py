"""An evaluation as a table on a terminal. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.errors.foreign_code import foreign_code
from dspex_core.evaluation.rows import rows_of
from dspex_core.plain.data import json_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex_core.evaluation.case import CaseResult

_BORDERS = 3  # characters between two columns
_NARROWEST = 8


def table_of(metric: str, cases: Sequence[CaseResult], *, rows: int | None = None, width: int = 100) -> str:
    """Return a line for each case, or for the first so many; long values are cut to fit the width."""
    with foreign_code():
        from tabulate import tabulate  # only when a table is asked for

    shown = rows_of(metric, cases[:rows])
    names = dict.fromkeys(name for row in shown for name in row)
    room = max(_NARROWEST, width // max(1, len(names)) - _BORDERS)
    cells = [[_cell(row.get(name, ""), room) for name in names] for row in shown]
    table = tabulate(cells, [_cell(name, room) for name in names], tablefmt="presto", disable_numparse=True)
    more = len(cases) - len(shown)
    return f"{table}\n" + (f"and {more} more\n" if more > 0 else "")


def _cell(value: Any, room: int) -> str:
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in json_text(value)).split())
    return text if len(text) <= room else f"{text[: room - 1]}…"
