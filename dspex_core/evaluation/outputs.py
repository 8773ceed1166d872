"""The files and the table that an evaluation was asked for. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dspex_core.evaluation.files import write_csv, write_json
from dspex_core.evaluation.table import table_of

if TYPE_CHECKING:
    from os import PathLike

    from dspex_core.evaluation.result import EvaluationResult


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a result goes besides its return."""

    save_as_csv: str | PathLike[str] | None
    save_as_json: str | PathLike[str] | None
    display_table: bool | int

    def save(self, result: EvaluationResult) -> None:
        """Write the files."""
        if self.save_as_csv is not None:
            write_csv(result.metric, result.cases, self.save_as_csv)
        if self.save_as_json is not None:
            write_json(result.metric, result.cases, self.save_as_json)

    def show(self, result: EvaluationResult) -> None:
        """Write the table, on a terminal only; what reads a pipe or a log does not want one."""
        if self.display_table and sys.stdout.isatty():
            rows = None if self.display_table is True else self.display_table
            width = shutil.get_terminal_size().columns
            sys.stdout.write(table_of(result.metric, result.cases, rows=rows, width=width))
