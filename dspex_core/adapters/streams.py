"""Reading a reply while it arrives: the text of each output, piece by piece. PYTEST_DONT_REWRITE

The pieces of a text output make up its value; those of any other type are what the model writes
for it.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from dspex_core.plain.reading.forgiving import field_names
from dspex_core.plain.repair import mended

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


class FieldChunk(NamedTuple):  # as LMChunk, made for every few letters
    """A piece of one output; `last` is true for its last piece, whose text may be empty.

    A piece that `replaces` is all of the output: what was emitted of it before, its last piece included, was a draft.
    """

    field: str
    text: str
    last: bool = False
    replaces: bool = False


class FieldStream(ABC):
    """Returns the pieces of the outputs in a reply that is fed to it as it arrives."""

    @abstractmethod
    def feed(self, text: str) -> list[FieldChunk]:
        """Process the next piece of the reply."""

    @abstractmethod
    def close(self) -> list[FieldChunk]:
        """Process the end of the reply, which may lack an output's end mark."""


class ScanningStream(FieldStream):
    """A stream that reads from mark to mark.

    Args:
        names: The outputs. Of two with one name the first counts.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._finished: set[str] = set()
        self._text = ""  # the text not emitted yet, after one character that is, to detect line starts
        self._at = 0
        self._field: str | None = None

    def forget(self, name: str) -> None:
        """Allow an ended output to come again: the earlier text was not its value."""
        self._finished.discard(name)

    def feed(self, text: str) -> list[FieldChunk]:
        """Process the next piece of the reply."""
        self._text = self._text[max(0, self._at - 1) :] + text
        self._at = min(self._at, 1)
        chunks: list[FieldChunk] = []
        while self._advance(chunks):
            pass
        return chunks

    def close(self) -> list[FieldChunk]:
        """Process the end of the reply, which may lack an output's end mark."""
        chunks: list[FieldChunk] = []
        if self._field is not None:
            self._emit(chunks, self._rest(self._text[self._at :]), last=True)
        return chunks

    @abstractmethod
    def _advance(self, chunks: list[FieldChunk]) -> bool:
        """Advance by one step; return whether there may be another."""

    @abstractmethod
    def _rest(self, text: str) -> str:
        """Return the last part of the output in which the reply breaks off."""

    def _emit(self, chunks: list[FieldChunk], text: str, *, last: bool) -> None:
        field = self._field
        if field is not None and field in self._names and field not in self._finished and (text or last):
            chunks.append(FieldChunk(field, text, last))
        if field is not None and last:
            self._finished.add(field)
            self._field = None


class MarkedStream(ScanningStream):
    """Outputs between marks.

    Args:
        names: The outputs.
        begin: The mark before an output, whose name is its first group.
        end: The mark after an output, by its name.
        held: Matches a possible beginning of a mark, or trailing space, at the end of a text.
        decode: Decodes the written form of a text.
    """

    def __init__(
        self,
        names: Collection[str],
        *,
        begin: re.Pattern[str],
        end: Callable[[str], re.Pattern[str]],
        held: re.Pattern[str],
        decode: Callable[[str], str] = str,
    ) -> None:
        super().__init__(names)
        self._begin, self._end, self._held, self._decode = begin, end, held, decode
        self._begun = False

    def _advance(self, chunks: list[FieldChunk]) -> bool:
        return self._to_begin() if self._field is None else self._within(self._field, chunks)

    def _to_begin(self) -> bool:
        mark = self._begin.search(self._text, self._at)
        if mark is None:
            self._at = self._held_from()
            return False
        self._field, self._begun, self._at = mark[1], False, mark.end()
        return True

    def _within(self, field: str, chunks: list[FieldChunk]) -> bool:
        end = self._end(field).search(self._text, self._at)
        stop = self._held_from() if end is None else end.start()
        written = self._text[self._at : stop]
        if not self._begun:
            written = written.lstrip()
            self._begun = bool(written)
        self._at = stop
        self._emit(chunks, self._decode(written if end is None else written.rstrip()), last=end is not None)
        return end is not None

    def _held_from(self) -> int:
        held = self._held.search(self._text, self._at)
        return len(self._text) if held is None else held.start()

    def _rest(self, text: str) -> str:
        return self._decode(text.rstrip() if self._begun else text.strip())


def tag_stream(names: Collection[str], decode: Callable[[str], str]) -> ScanningStream:
    """Return the stream of outputs between tags of their names."""
    begin = re.compile(rf"<(?:\w+:)?({'|'.join(map(re.escape, names))})(?:\s[^<>]*)?(?<!/)>")
    ends = {name: re.compile(rf"</\s*(?:\w+:)?{re.escape(name)}\s*>") for name in names}
    longest = max(map(len, names), default=0) + 30
    held = re.compile(
        rf"\s*(?:<(?:/?[\w:\s]{{0,{longest}}}|!(?:\[(?:C(?:D(?:A(?:T(?:A(?:\[(?:(?!\]\]>).)*)?)?)?)?)?)?)?)?|&#?\w{{0,31}})?\Z",
        re.DOTALL,
    )
    return MarkedStream(names, begin=begin, end=ends.__getitem__, held=held, decode=decode)


_KEY = re.compile(r'[\s,]*"((?:[^"\\]|\\.)*)"\s*:\s*(?=\S)', re.DOTALL)
_BEFORE_KEY = re.compile(r"[\s,]*")
_STRING = re.compile(r'[^"\\]*(?:\\(?:u[0-9a-fA-F]{4}|[^u])[^"\\]*)*', re.DOTALL)
# What may be the first of two escapes that are one character, or a command of LaTeX of which more may come.
_HALF = re.compile(r"(\\+)(?:u[dD][89abAB][0-9a-fA-F]{2}|[a-zA-Z]*)\Z")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],"]', re.DOTALL)


class JSONStream(ScanningStream):
    """Outputs that are the values of a JSON object; prose before it is passed over.

    The pieces of a string are its text; those of any other value are its JSON.
    """

    def __init__(self, names: Collection[str]) -> None:
        super().__init__(names)
        self._state: Callable[[list[FieldChunk]], bool] = self._to_object
        self._depth = 0

    def _advance(self, chunks: list[FieldChunk]) -> bool:
        return self._state(chunks)

    def _to_object(self, chunks: list[FieldChunk]) -> bool:
        brace = self._text.find("{", self._at)
        self._at = len(self._text) if brace < 0 else brace + 1
        if brace >= 0:
            self._state = self._to_value
        return brace >= 0

    def _to_value(self, chunks: list[FieldChunk]) -> bool:
        key = _KEY.match(self._text, self._at)
        if key is None:
            before = _BEFORE_KEY.match(self._text, self._at)
            rest = self._text[before.end() :] if before else ""
            if not rest or rest.startswith('"'):
                return False
            self._state = self._to_object  # the object's end, or not an object
            return True
        name = _unescaped(key[1])
        self._field, self._at = (
            name if name in self._names else field_names(self._names, [name]).get(name, name),
            key.end(),
        )
        if self._text[self._at] == '"':
            self._at += 1
            self._state = self._in_string
        else:
            self._depth, self._state = 0, self._in_data
        return True

    def _in_string(self, chunks: list[FieldChunk]) -> bool:
        written = _STRING.match(self._text, self._at)
        stop = written.end() if written else self._at
        if self._text[stop : stop + 1] == '"':
            self._emit(chunks, _unescaped(self._text[self._at : stop]), last=True)
            self._at, self._state = stop + 1, self._to_value
            return True
        half = _HALF.search(self._text, self._at, stop)
        if half is not None and len(half[1]) % 2:  # else each is escaped by the one before it
            stop = half.end(1) - 1
        self._emit(chunks, _unescaped(self._text[self._at : stop]), last=False)
        self._at = stop
        return False

    def _in_data(self, chunks: list[FieldChunk]) -> bool:
        stop = len(self._text)
        for token in _TOKEN.finditer(self._text, self._at):
            if token[0] == '"':  # a string that has not arrived in full
                stop = token.start()
                break
            if self._depth == 0 and token[0] in ",}":
                self._emit(chunks, self._text[self._at : token.start()].rstrip(), last=True)
                self._at, self._state = token.start(), self._to_value
                return True
            self._depth += (token[0] in "{[") - (token[0] in "}]")
        written = self._text[self._at : stop].rstrip()
        self._emit(chunks, written, last=False)
        self._at += len(written)
        return False

    def _rest(self, text: str) -> str:
        return "" if self._state == self._in_string else text.rstrip()


def _unescaped(written: str) -> str:
    if "\\" not in written:
        return written
    try:
        text: str = json.loads(f'"{mended(written)}"', strict=False)
    except ValueError:  # an escape that JSON does not have
        return written
    return text
