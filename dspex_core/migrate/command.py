"""The command line of `python -m dspex_core.migrate`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dspex_core.errors import DatasetError, DSPexError
from dspex_core.migrate import deepeval, langsmith, promptfoo
from dspex_core.migrate.parity import parity
from dspex_core.migrate.project import survey
from dspex_core.migrate.report import as_annotations, as_json, as_text, many
from dspex_core.migrate.starter import starter
from dspex_core.storage.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "python -m dspex_core.migrate"
WRONG_USE = 2
CONVERTERS = {
    "promptfoo": (promptfoo.convert, "a promptfooconfig.yaml, or a file of tests"),
    "deepeval": (deepeval.convert, "a .json, .jsonl or .csv file of goldens, as EvaluationDataset.save_as writes"),
    "langsmith": (langsmith.convert, "a .jsonl, .json or .csv file, as LangSmith exports a dataset"),
}
SUBCOMMANDS = ("dspy", *CONVERTERS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 when all is well, 1 when something is missing, 2 on wrong use."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] not in (*SUBCOMMANDS, "-h", "--help"):
        given.insert(0, "dspy")  # a plain PATH
    options = _parser().parse_args(given)
    return _survey(options) if options.command == "dspy" else _convert(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Move a project to pytest-dspex.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    dspy = commands.add_parser(
        "dspy",
        help="say which of a project's uses of DSPy run unchanged, differ or are missing (or just a PATH)",
        description="Read Python files and notebooks, without running them, and say which uses of DSPy run here. "
        "Exit status: 0 when nothing is missing, 1 when something is or a file cannot be read, 2 on wrong use.",
    )
    dspy.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a Python file, a notebook, or a folder")
    dspy.add_argument("-q", "--quiet", action="store_true", help="leave out the uses that run unchanged")
    form = dspy.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="write JSON, for machines")
    form.add_argument("--github", action="store_true", help="write annotations for GitHub's workflows")
    for name, (_, file) in CONVERTERS.items():
        _add_converter(commands.add_parser(name, help=f"convert {file}, into a dataset"), file)
    return parser


def _add_converter(parser: argparse.ArgumentParser, file: str) -> None:
    parser.description = (
        "Convert cases into a dataset, and name on stderr the parts that could not be converted. Exit status: "
        "0 when all was, 1 when something was left out, 2 when nothing was written."
    )
    parser.add_argument("file", type=Path, metavar="FILE", help=file)
    parser.add_argument("--to", type=Path, metavar="ROWS.jsonl", help="the dataset; without it, rows go to stdout")
    parser.add_argument("--tests", type=Path, metavar="TEST.py", help="also write a first test of the rows; needs --to")
    parser.add_argument("--overwrite", action="store_true", help="replace the dataset if it is there; never a test")


def _convert(options: argparse.Namespace) -> int:
    """Convert a file; both files are written when all of them can be."""
    convert, _ = CONVERTERS[options.command]
    try:
        _refuse_targets(options)
        made = convert(options.file)
        escaped = not options.to  # nobody knows which encoding stdout has
        lines = "".join(json.dumps(row, ensure_ascii=escaped, allow_nan=False) + "\n" for row in made.rows)
        test = starter(made, rows=options.to, test=options.tests) if options.tests else None
        _write(options, lines, test)
    except RecursionError:
        complain([f"{options.file}: is nested too deeply, or refers to itself"])
        return WRONG_USE
    except (DSPexError, ValueError, RuntimeError) as error:  # RuntimeError: a link leads to itself
        complain([str(error)])
        return WRONG_USE
    complain([*(f"left out: {each}" for each in made.left_out), *made.remarks])
    if options.to:
        written = f"{options.to}: {many(len(made.rows), 'row')}; inputs: {', '.join(made.inputs)}"
        complain([written, *([f"{options.tests}: a first test"] if test else [])])
    return 1 if made.left_out else 0


def _write(options: argparse.Namespace, lines: str, test: str | None) -> None:
    """Write the rows and the test, or neither."""
    if not options.to:
        sys.stdout.write(lines)
        return
    if test is not None:
        _store(options.tests, test)
    try:
        _store(options.to, lines)
    except BaseException:
        if test is not None:
            options.tests.unlink()  # it was not there before
        raise


def _store(path: Path, text: str) -> None:
    try:
        write_atomically(path, text)
    except OSError as error:
        raise DatasetError(f"cannot be written: {error.strerror}", path=str(path)) from error
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise DatasetError(f"cannot be in UTF-8: {half!r} is half of a surrogate pair", path=str(path)) from error


def _refuse_targets(options: argparse.Namespace) -> None:
    """Refuse names that the files cannot have, and to write over files.

    Raises:
        ValueError: A file is there, or has another ending, or the test has no dataset to name.
    """
    to, tests = options.to, options.tests
    if tests and not to:
        raise ValueError("--tests needs --to: the test names the dataset")
    if tests and tests.suffix != ".py":
        raise ValueError(f"{tests} has to be a .py file: it becomes a test of pytest")
    if tests and os.path.lexists(tests):
        raise ValueError(f"{tests} is there already, and a test is never written over: choose another name")
    if to and to.suffix not in (".jsonl", ".ndjson"):
        raise ValueError(f"{to} has to be a .jsonl file: a row on each line")
    if to and to.resolve() == options.file.resolve():
        raise ValueError(f"{to} is the file that is converted: choose another name")
    if to and os.path.lexists(to) and not options.overwrite:
        raise ValueError(f"{to} is there already: choose another name, or give --overwrite")


def _survey(options: argparse.Namespace) -> int:
    absent = [path for path in options.paths if not os.path.lexists(path)]
    found = survey(path for path in options.paths if path not in absent)
    complain([*(f"{path}: there is no such file or folder" for path in absent), *found.unread, *found.remarks])
    if options.json:
        text = as_json(found, version=parity().version)
    else:
        text = as_annotations(found) if options.github else as_text(found, quiet=options.quiet)
    encoding = sys.stdout.encoding or "utf-8"  # which may lack a character of a file's name
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
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
