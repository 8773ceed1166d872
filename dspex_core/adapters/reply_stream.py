"""Streaming of a reply, consistent with reading it as a whole. PYTEST_DONT_REWRITE

The adapter's reading of the whole reply is final. Until then, well-formed pieces of outputs are emitted as they arrive,
and the rest of each output at the end. If a reply turns out to revise a draft, the output comes again as a whole, in a
piece that replaces those before it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dspex_core.adapters.answers import is_placeholder
from dspex_core.adapters.parse import read_answer
from dspex_core.adapters.streams import FieldChunk, FieldStream
from dspex_core.adapters.thinking import thinking
from dspex_core.errors import AdapterParseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex_core.adapters.parse import Answer, Format
    from dspex_core.adapters.streams import ScanningStream
    from dspex_core.signatures.signature import Signature

# Possible beginnings of the tokens that end a turn, which are not part of the answer.
_ENDING = re.compile(r"(?:\s*<(?:\|\w{0,20}\|?>?|/s?>?|e\w{0,12}>?|\uff5c[^<>]{0,25}>?)?)+\s*\Z")
_LONGEST_MARK = 200  # characters that a mark around thinking may have


class ReplyStream(FieldStream):
    """The outputs in a reply: those after the thinking while it arrives, and all of them at its end.

    Args:
        signature: Whose outputs they are.
        formats: The formats that the adapter reads, its own first.
        stream: Reads the outputs in the adapter's own format.
    """

    def __init__(self, signature: type[Signature], formats: Sequence[Format], stream: ScanningStream) -> None:
        self._signature = signature
        self._formats = formats
        self._stream = stream
        self._gate: _Gate | None = _Gate(tuple(signature.output_fields))
        self._reply: list[str] = []
        self._ending = ""
        self._emitted: dict[str, str] = {}
        self._held: dict[str, str] = {}  # text that may be the layout's `{name}` instead of a value
        self._ended: set[str] = set()

    def feed(self, text: str) -> list[FieldChunk]:
        """Process the next piece of the reply."""
        self._reply.append(text)
        if self._gate is not None:
            text = self._gate.passed(text)
            if not text:
                return []
            self._gate = None
        text = self._ending + text
        ending = _ENDING.search(text, max(0, len(text) - _LONGEST_MARK))
        kept = len(text) if ending is None else ending.start()
        self._ending = text[kept:]
        return self._checked(self._stream.feed(text[:kept])) if kept else []

    def close(self) -> list[FieldChunk]:
        """Process the end of the reply."""
        try:
            answer = read_answer(self._signature, "".join(self._reply), formats=self._formats, adapter_name="")
        except AdapterParseError:
            rest = [*self._stream.feed(self._ending), *self._stream.close()]
            return [*self._rest_held(), *self._checked(rest, whole=False)]
        texts = answer.texts()
        chunks = [chunk for name, text in texts.items() if (chunk := self._final(name, text, answer)) is not None]
        gone = [name for name, emitted in self._emitted.items() if emitted and name not in texts]
        return [*chunks, *(FieldChunk(name, "", last=True, replaces=True) for name in gone)]

    def _final(self, name: str, text: str, answer: Answer) -> FieldChunk | None:
        """Return what is missing to the text of an output."""
        emitted = self._emitted.get(name, "")
        if emitted == text or (emitted and self._is_value(name, emitted, answer)):
            return None if name in self._ended else FieldChunk(name, "", last=True)
        if text.startswith(emitted) and name not in self._ended:
            return FieldChunk(name, text[len(emitted) :], last=True)
        return FieldChunk(name, text, last=True, replaces=bool(emitted) or name in self._ended)

    def _is_value(self, name: str, emitted: str, answer: Answer) -> bool:
        """Whether what was emitted of an output that is not a text is its value, written in another way."""
        field = self._signature.output_fields[name]
        if field.is_text:
            return False
        try:
            return bool(self._formats[0].read(field, emitted) == answer.outputs[name])
        except Exception:  # noqa: BLE001  a user's validator, or a comparison
            return False

    def _checked(self, chunks: list[FieldChunk], *, whole: bool = True) -> list[FieldChunk]:
        return [emitted for chunk in chunks for emitted in self._unless_layout(chunk, whole=whole)]

    def _unless_layout(self, chunk: FieldChunk, *, whole: bool) -> list[FieldChunk]:
        name = chunk.field
        text = self._held.pop(name, "") + chunk.text
        if name not in self._emitted and whole:
            if f"{{{name}}}".startswith(text) and not chunk.last:
                self._held[name] = text
                return []
            if chunk.last and is_placeholder(name, text):
                self._stream.forget(name)
                return []
        self._emitted[name] = self._emitted.get(name, "") + text
        if chunk.last:
            self._ended.add(name)
        return [FieldChunk(name, text, chunk.last)]

    def _rest_held(self) -> list[FieldChunk]:
        held, self._held = self._held, {}
        return [FieldChunk(name, text) for name, text in held.items() if text]


class _Gate:
    """Passes on a reply from its answer on, without thinking before it."""

    def __init__(self, outputs: tuple[str, ...]) -> None:
        self._marks = thinking(outputs)
        self._text = ""
        self._from = 0
        self._thinks: re.Match[str] | None = None

    def passed(self, text: str) -> str:
        """Process a piece; return text that is not thinking, from the start of the answer on."""
        self._text += text
        while True:
            begin = self._marks.begin.search(self._text, self._from) if self._thinks is None else self._thinks
            if begin is None or self._thinks is None:
                answer = self._marks.answer.search(self._text, self._from)
                if answer is not None and (begin is None or answer.start() < begin.start()):
                    return self._text
            if begin is None:
                self._from = max(self._from, len(self._text) - _LONGEST_MARK)
                return ""
            if self._thinks is None:
                self._thinks, self._from = begin, begin.end()
            end = self._marks.end_of(begin).search(self._text, self._from)
            if end is None:
                self._from = max(begin.end(), len(self._text) - _LONGEST_MARK)
                return ""
            self._text = self._text[: begin.start()] + self._text[end.end() :]
            self._thinks, self._from = None, begin.start()
