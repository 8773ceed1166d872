"""A project's Python files and notebooks, read into syntax trees. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import ast
import json
import os
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SUFFIXES = (".py", ".pyi", ".ipynb")
LEFT_OUT = {"__pycache__", "node_modules", "site-packages"}  # and hidden folders, and environments


class UnreadableError(Exception):
    """A file or a folder cannot be read; the message says why."""


@dataclass(frozen=True)
class Source:
    """A file's syntax trees.

    Attributes:
        trees: One, or one for each cell of a notebook. The lines of a cell's tree go on where the last one's ended.
        cells: For each of a notebook's cells that has a tree, its number and the line before its first.
        problems: A message for each cell that is not Python.
    """

    trees: list[ast.Module]
    cells: tuple[tuple[int, int], ...] = ()
    problems: tuple[str, ...] = ()

    def place(self, line: int) -> tuple[int | None, int]:
        """Return the cell and the line in it of a line of the trees."""
        number, before = next(((n, start) for n, start in reversed(self.cells) if start < line), (None, 0))
        return number, line - before


def files_in(path: Path, *, unread: list[str], remarks: list[str], above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Yield the Python files and notebooks of a folder and the folders in it, or the file itself, in their order.

    Args:
        path: The folder or the file.
        unread: Gets a message for each folder that cannot be read.
        remarks: Gets a message for each link to a folder around it: links are followed, but not in circles.
        above: The folders around this one.
    """
    try:
        if not path.is_dir():
            if not above or path.suffix in SUFFIXES:
                yield path
            return
        real = path.resolve()
        entries = [] if above and not _is_of_project(path) else sorted(path.iterdir())
    except (OSError, RuntimeError) as error:
        unread.append(f"{path}: cannot be read: {_reason(error)}")
        return
    if real in above:
        remarks.append(f"{path}: is a link to a folder around it; it is not followed")
        return
    for entry in entries:
        yield from files_in(entry, unread=unread, remarks=remarks, above=(*above, real))


def _is_of_project(folder: Path) -> bool:
    return not (
        folder.name.startswith(".")
        or folder.name in LEFT_OUT
        or (folder / "pyvenv.cfg").exists()
        or (folder / "conda-meta").exists()
    )


def read_source(path: Path) -> Source:
    """Read a Python file or a notebook.

    Raises:
        UnreadableError: It cannot be read as one.
    """
    try:
        content = path.read_bytes()
    except (OSError, RuntimeError) as error:
        raise UnreadableError(f"cannot be read: {_reason(error)}") from None
    if path.suffix == ".ipynb":
        return _notebook(content)
    return Source([_parsed(content)])


def _parsed(content: bytes | str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the user's escapes, which are not ours to judge
            return ast.parse(content)
    except SyntaxError as error:
        at = f", line {error.lineno}" if error.lineno else ""
        raise UnreadableError(f"is not Python that this interpreter reads: {error.msg}{at}") from None
    except (ValueError, UnicodeError) as error:
        raise UnreadableError(f"is not Python: {error}") from None
    except (RecursionError, MemoryError):
        raise UnreadableError("is nested too deeply to be read") from None


def _notebook(content: bytes) -> Source:
    try:
        cells = list(_cells_of(json.loads(content)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UnreadableError("is not a notebook: no JSON with cells") from None
    trees, places, problems, line = [], [], [], 0
    for number, text in cells:
        try:
            tree = _parsed(_without_magics(text))
        except UnreadableError as error:
            problems.append(f"cell {number}: {error}")
        else:
            trees.append(ast.increment_lineno(tree, line))
            places.append((number, line))
        line += text.count("\n") + 2
    return Source(trees, tuple(places), tuple(problems))


def _cells_of(notebook: Any) -> Iterator[tuple[int, str]]:
    """Yield the numbers and the texts of the cells with code; older notebooks have their cells in worksheets."""
    sheets = notebook.get("worksheets")
    cells = notebook["cells"] if sheets is None else [cell for sheet in sheets for cell in sheet["cells"]]
    for number, cell in enumerate(cells, 1):
        if cell["cell_type"] == "code":
            text = cell["source"] if "source" in cell else cell["input"]
            yield number, text if isinstance(text, str) else "".join(text)


def _without_magics(text: str) -> str:
    """Take out IPython's commands, line by line; a cell in another language becomes empty."""
    first = text.lstrip().split("\n", 1)[0]
    if first.startswith("%%") and not re.match(r"%%(time|timeit|capture|prun)\b", first):
        return ""
    return "\n".join(map(_without_magic, text.split("\n")))


def _without_magic(line: str) -> str:
    if re.match(r"\s*[%!?]|\s*[\w.]+\?{1,2}\s*$", line):
        return re.sub(r"\S.*", "pass", line)
    return re.sub(r"=\s*[%!].*", "= None", line) if re.match(r"\s*[\w, ]+=\s*[%!]", line) else line


def _reason(error: OSError | RuntimeError) -> str:
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)


def unique(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield each file once, whichever arguments lead to it."""
    seen: set[Path] = set()
    for path in paths:
        try:
            real = path.resolve()
        except (OSError, RuntimeError):
            real = path.absolute()
        if real not in seen:
            seen.add(real)
            yield path
