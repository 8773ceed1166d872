"""A project's use of DSPy, file by file. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dspex_core.migrate.findings import Finding, counted, outcomes
from dspex_core.migrate.names import uses_in
from dspex_core.migrate.parity import Parity, parity
from dspex_core.migrate.sources import Source, UnreadableError, files_in, read_source, unique

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True)
class Survey:
    """The uses of DSPy in the files of a project.

    Attributes:
        findings: The uses of DSPy, by file and line.
        files: How many files were read.
        unread: A message for each file, cell or folder that could not be read: nobody knows what is in there.
        remarks: A message for each folder that was left out on purpose.
    """

    findings: list[Finding]
    files: int
    unread: list[str]
    remarks: list[str]

    @property
    def runs(self) -> bool:
        """Whether all was read, and nothing is missing."""
        return not self.unread and not counted(self.findings)["missing"]

    @property
    def using(self) -> int:
        """How many files use DSPy."""
        return len({finding.file for finding in self.findings})


def survey(paths: Iterable[Path]) -> Survey:
    """Read files and folders, and look up the outcome of each use of DSPy."""
    table = parity()
    findings: list[Finding] = []
    unread: list[str] = []
    remarks: list[str] = []
    files = 0
    for path in unique(file for each in paths for file in files_in(each, unread=unread, remarks=remarks)):
        try:
            source = read_source(path)
            findings += _findings(str(path), source, table)
        except UnreadableError as error:
            unread.append(f"{path}: {error}")
        except RecursionError:
            unread.append(f"{path}: is nested too deeply to be read")
        else:
            unread += [f"{path}: {problem}" for problem in source.problems]
            files += 1
    return Survey(findings, files, unread, remarks)


def _findings(file: str, source: Source, table: Parity) -> list[Finding]:
    findings: dict[Finding, None] = {}  # a dict keeps each once, in its order
    for use in uses_in(source.trees, table):
        cell, line = source.place(use.line)
        for each in outcomes(use, table):
            findings[Finding(file, cell, line, use.column, each.name, each.status, each.note)] = None
    return list(findings)
