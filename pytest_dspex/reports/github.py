"""What GitHub Actions shows of a session: annotations at the tests, and the summary of the job. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_dspex.reports.shown import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_dspex.reports.document import Document, SuiteRow

_MOST = 10  # of one level in a step; GitHub drops the others
_LARGEST = 1_000_000  # bytes of a summary; GitHub refuses a larger one as a whole
_NAMES = 5  # cases in an annotation
_LEVELS = {"FAIL": "error", "INCONCLUSIVE": "warning", "NOT EVALUATED": "warning"}


def is_in_use() -> bool:
    """Return whether the session runs in a job of GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def annotation_lines(document: Document, *, root: Path) -> list[str]:
    """Return a line for each gate that did not pass, and for each test with failed cases.

    Args:
        document: The session's report.
        root: The root directory, to which the files' paths are relative; GitHub's are relative to the workspace.
    """
    found = [line for suite in document.suites for line in _annotations(suite, root=root)]
    return [
        line
        for level in ("error", "warning")
        for line in [each for each in found if each.startswith(f"::{level} ")][:_MOST]
    ]


def _annotations(suite: SuiteRow, *, root: Path) -> Iterator[str]:
    place = f"file={_property(_in_workspace(root / suite.file))}" + (f",line={suite.line}" if suite.line else "")
    for gate in suite.gates:
        if level := _LEVELS.get(gate.verdict):
            title = _property(f"{gate.verdict}: {gate.name} {gate.condition}")
            yield f"::{level} {place},title={title}::{_message(f'{suite.test}: {gate.reason}')}"
    failed = [case for case in suite.cases if case.outcome in ("miss", "error")]
    if failed:
        names = [f"{case.case or case.id}: {case.message}" for case in failed[:_NAMES]]
        more = [f"and {len(failed) - _NAMES} more"] if len(failed) > _NAMES else []
        title = _property(f"{len(failed)} of {suite.n} cases failed")
        yield f"::error {place},title={title}::{_message(chr(10).join([suite.test, *names, *more]))}"


def write_summary(document: Document) -> None:
    """Append the report to the summary of the job, if it has one.

    Raises:
        OSError: The file cannot be written.
    """
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    from pytest_dspex.reports import markdown  # only jobs with a summary need it

    text = markdown.text_of(document)
    written = Path(path).stat().st_size if Path(path).exists() else 0
    data = text.encode()[: max(_LARGEST - written, 0)]
    if len(data) < len(text.encode()):
        data = data.rpartition(b"\n")[0] + b"\n\nThe rest is left out: a summary has at most 1 MB.\n"
    with Path(path).open("ab") as file:
        file.write(data)


def _in_workspace(path: Path) -> str:
    workspace = os.environ.get("GITHUB_WORKSPACE")
    if workspace and path.is_relative_to(workspace):
        return path.relative_to(workspace).as_posix()
    return path.as_posix()


def _message(text: str) -> str:
    return shown(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
