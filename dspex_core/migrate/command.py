"""The command line of `python -m dspex_core.migrate`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dspex_core.migrate.parity import parity
from dspex_core.migrate.project import survey
from dspex_core.migrate.report import as_annotations, as_json, as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "python -m dspex_core.migrate"
WRONG_USE = 2
SUBCOMMANDS = ("dspy",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 when all is well, 1 when something is missing, 2 on wrong use."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] not in (*SUBCOMMANDS, "-h", "--help"):
        given.insert(0, "dspy")  # a plain PATH
    options = _parser().parse_args(given)
    return _survey(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Move a project to pytest-dspex.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    dspy = commands.add_parser(
        "dspy",
        help="say which of a project's uses of DSPy run unchanged, differ or are missing (or just a PATH)",
        description="Read Python files and notebooks, without running them, and say what becomes of each use of DSPy. "
        "Exit status: 0 when nothing is missing, 1 when something is or a file cannot be read, 2 on wrong use.",
    )
    dspy.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a Python file, a notebook, or a folder")
    dspy.add_argument("-q", "--quiet", action="store_true", help="leave out what runs unchanged")
    form = dspy.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="write JSON, for machines")
    form.add_argument("--github", action="store_true", help="write annotations for GitHub's workflows")
    return parser


def _survey(options: argparse.Namespace) -> int:
    absent = [path for path in options.paths if not path.exists() and not path.is_symlink()]
    found = survey(path for path in options.paths if path not in absent)
    complain([*(f"{path}: there is no such file or folder" for path in absent), *found.unread, *found.remarks])
    if options.json:
        sys.stdout.write(as_json(found, version=parity().version))
    elif options.github:
        sys.stdout.write(as_annotations(found))
    else:
        sys.stdout.write(as_text(found, quiet=options.quiet))
    if absent:
        return WRONG_USE
    if not found.files and not found.unread:
        complain(["there is no Python file or notebook in " + ", ".join(map(str, options.paths))])
        return WRONG_USE
    return 0 if found.runs else 1


def complain(messages: Sequence[str]) -> None:
    """Write messages to stderr, a line each."""
    for message in messages:
        sys.stderr.write(f"{PROGRAM}: {message}\n")
