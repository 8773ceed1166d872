"""Rows of JSON: a row on each line, or a list of rows. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from dspex_core.datasets.files import open_text, read_text
from dspex_core.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONG_INTEGER = re.compile(r"\d{4300,}")  # Python's own limit
_SPACE = re.compile(r"[ \t\r\n]*")


def jsonl_rows(path: str) -> Iterator[tuple[int | None, Any]]:
    """Return the values of a file that has one on each line; a line that cannot be read is a `DatasetError`.

    Raises:
        DatasetError: The file cannot be read, or is one JSON text of many lines.
    """
    decode = DECODER.decode
    with open_text(path) as lines:
        is_first = True
        for number, line in enumerate(lines, 1):
            if line.isspace():
                continue
            text = line.lstrip("\ufeff") if line[0] == "\ufeff" else line  # of files that were put together
            try:
                row = decode(text)
            except (ValueError, RecursionError) as error:
                if is_first and (text.lstrip().startswith("[") or text.strip() == "{"):
                    message = f"has no object on its line {number}: if it is one JSON text, name it .json"
                    raise DatasetError(message, path=path, line=number) from error
                row = _fault(error, text, path, line=number)
            is_first = False
            yield number, row


def json_rows(path: str) -> Iterator[tuple[int | None, Any]]:
    """Return the items of a list, alone or under `data`; or the objects of a file that has several, as JSON lines.

    Raises:
        DatasetError: The file cannot be read, or is not JSON.
    """
    scan = _Scan(read_text(path), path)
    if scan.next_is("["):
        yield from scan.items()
    elif not scan.is_end() and not scan.is_end(scan.after_value()):
        yield from scan.values()
    elif scan.next_is("{"):
        yield from scan.items_of("data")
    elif not scan.is_end():
        raise DatasetError(_NO_LIST.format(type(scan.value()[1]).__name__), path=path)


_NO_LIST = "needs a list of objects, not {}"


class _Scan:
    """A position in a JSON text, from which values are read one after the other."""

    def __init__(self, text: str, path: str) -> None:
        self._text, self._path = text, path
        self._at = self._skip(0)
        self._line, self._counted = 1, 0

    def next_is(self, character: str) -> bool:
        return self._text[self._at : self._at + 1] == character

    def is_end(self, position: int | None = None) -> bool:
        return self._skip(self._at if position is None else position) == len(self._text)

    def after_value(self) -> int:
        """Return where the next value ends, whatever numbers and keys are in it."""
        try:
            return _ANY_VALUE.raw_decode(self._text, self._at)[1]
        except (ValueError, RecursionError) as error:
            raise _fault(error, self._text, self._path) from error

    def value(self) -> tuple[int, Any]:
        """Read the next value; return its line and it, or a `DatasetError` if only that value is at fault."""
        line = self._line_here()
        try:
            found, end = DECODER.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            raise _fault(error, self._text, self._path) from error
        except RecursionError as error:
            raise _fault(error, self._text, self._path, line=line) from error
        except ValueError as error:
            end = self.after_value()
            found = _fault(error, self._text[self._at : end], self._path, line=line)
        self._at = self._skip(end)
        return line, found

    def values(self) -> Iterator[tuple[int, Any]]:
        while not self.is_end():
            yield self.value()

    def items(self) -> Iterator[tuple[int, Any]]:
        """Return the items of a list that is the whole text."""
        yield from self._items()
        if not self.is_end():
            raise self._expected("the end of the file")

    def items_of(self, name: str) -> Iterator[tuple[int, Any]]:
        """Return the items of the list under a name of an object that is the whole text."""
        names, is_found = [], False
        self._step()
        while not self.next_is("}"):
            names.append(self.value()[1])
            self._step()  # the colon
            if names[-1] == name and self.next_is("["):
                is_found = True
                yield from self._items()
            else:
                self.value()
            if self.next_is(","):
                self._step()
        if names.count(name) > 1:
            raise DatasetError(f"has the key {name!r} more than once; keep one of them", path=self._path)
        if not is_found:
            raise DatasetError(_NO_LIST.format("dict"), path=self._path)

    def _items(self) -> Iterator[tuple[int, Any]]:
        self._step()
        if self.next_is("]"):
            self._step()
            return
        while True:
            yield self.value()
            if self.next_is("]"):
                self._step()
                return
            if not self.next_is(","):
                raise self._expected("',' or ']'")
            self._step()

    def _step(self) -> None:
        self._at = self._skip(self._at + 1)

    def _skip(self, position: int) -> int:
        found = _SPACE.match(self._text, position)
        return found.end() if found else position

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _expected(self, what: str) -> DatasetError:
        found = "the end of the file" if self.is_end() else repr(self._text[self._at : self._at + 20])
        return DatasetError(f"is not JSON: {what} is expected, not {found}", path=self._path, line=self._line_here())


def _fault(error: Exception, text: str, path: str, *, line: int | None = None) -> DatasetError:
    """Return the error of a text that is one line; or of a whole file, if `line` is not given."""
    if isinstance(error, json.JSONDecodeError):
        column = error.colno if line is None else min(error.pos, len(text.rstrip())) + 1
        return DatasetError(f"is not JSON: {error.msg} (column {column})", path=path, line=line or error.lineno)
    if isinstance(error, RecursionError):
        return DatasetError("is nested too deeply", path=path, line=line)
    message, digits = str(error), _LONG_INTEGER.search(text)
    if digits and "conversion" in message:  # Python's own message
        message = f"has a number of {len(digits[0])} digits, which is too long: write it as a text"
    return DatasetError(message, path=path, line=line)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        raise ValueError(f"has an object with the key {twice[0]!r} more than once; keep one of them")
    return found


def _constant(name: str) -> None:
    raise ValueError(f"has the number {name}, which JSON does not have: write null, a finite number or a text")


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"has the number {text:.40}, which is too large")
    return number


# Made once, since `json.loads` makes one for each call with hooks. Integers are read by the decoder's own fast path.
DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_number)
_ANY_VALUE = json.JSONDecoder(parse_int=len)
