"""The findings of the scripts in one form, of which `run_all.py` makes one table.

Only the standard library is needed, since the clients run in other environments, too.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Finding:
    """A line of the table; `ours` and `peer` are in the unit, and `met` is "yes", "no", or "" without a bar."""

    name: str
    ours: float
    unit: str
    peer: float | None = None
    ratio: float | None = None
    bar: str = ""
    met: str = ""


def add_option(parser: argparse.ArgumentParser) -> None:
    """Declare where the findings go."""
    parser.add_argument("--findings", type=_file, metavar="FILE", help="write the findings as lines of JSON, too")


def _file(name: str) -> Path:
    """Return the path of a file that can be written, as far as can be seen before a script has measured for long."""
    file = Path(name)
    if file.is_dir() or not file.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{name!r} is not a file in a folder that there is")
    return file


def write(findings: Iterable[Finding], options: argparse.Namespace) -> None:
    """Append the findings to the file that the options name, if they name one."""
    if options.findings is not None:
        with options.findings.open("a", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(asdict(finding))}\n" for finding in findings)


def read(file: Path) -> list[Finding]:
    """Return the findings of a file, none if there is no file."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [Finding(**json.loads(line)) for line in lines]


def verdict(is_met: bool) -> str:  # noqa: FBT001  the one thing that it says
    """Return the word for whether a bar is met."""
    return "yes" if is_met else "no"
