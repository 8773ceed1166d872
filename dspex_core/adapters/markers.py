"""Outputs under marker lines, `[[ ## name ## ]]`, as models write them. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from dspex_core.adapters.answers import likeliest, split_answers
from dspex_core.adapters.quoted import COMPLETED, Marker, without_quoted
from dspex_core.adapters.thinking import may_think
from dspex_core.plain.reading.choices import normal_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dspex_core.signatures.signature import Signature

EXACT = re.compile(r"^[ \t]*\[\[[ \t]*##[ \t]*([^\s#\[\]]+)[ \t]*##[ \t]*\]\]", re.MULTILINE)
SPACE = (
    r"[ \t\u00a0\u200b-\u200f\u2060\u3000\ufeff]{0,40}+"  # all of these are possessive: no reply may stall the reader
)
OPEN = r"(?:\\?[\[\uff3b]|\u3010)"
_CLOSE = r"(?:\\?[\]\uff3d]|\u3011)"
_HASHES = r"(?:\\?[#\uff03]){1,6}+"
LEAD = r"(?:[ \t\u00a0\u200b-\u200f\u2060\u3000\ufeff>*_#`\"'~+\-\u2022]|\d{1,3}[.)][ \t]){0,200}+"
BLANK = " \t\r\n\u00a0\u2028\u2029\u200b\u200e\u200f\u3000\ufeff"
WRAP = r"[*_`\"'~]{0,6}+"
_QUOTED = re.compile(r"^[ \t]*> ?", re.MULTILINE)
_HALF = re.compile(r"\n[ \t]*\[(?:\[[ \t]*(?:#(?:#[ \t]*(?:\w+[ \t]*(?:##?[ \t]*\]?)?)?)?)?)?\Z")
_EMPHASIS = re.compile(r"[*_`\"'~]+\Z")


class Markers:
    """The markers of a signature.

    Args:
        outputs: The names of the outputs.
        inputs: The names of the inputs, whose markers end an output: a model may continue with another question.
    """

    def __init__(self, outputs: Sequence[str], inputs: Sequence[str]) -> None:
        self.names = frozenset((*outputs, COMPLETED))
        self._outputs = frozenset(outputs)
        self.end_is_apart = COMPLETED not in self._outputs  # no output has the name of the mark of the end
        self._spellings = {normal_name(name): name for name in (*inputs, COMPLETED, *outputs)}
        loose = "|".join(map(_spelling, sorted({*inputs, *self.names}, key=len, reverse=True)))
        self.loose = re.compile(
            rf"(?P<lead>^{LEAD})?(?P<wrap>{WRAP}){OPEN}{SPACE}{OPEN}{SPACE}{_HASHES}{SPACE}(?P<name>{loose}){SPACE}"
            rf"(?:(?:{_HASHES}{SPACE})?{_CLOSE}{SPACE}{_CLOSE}?|{_HASHES}(?={SPACE}:?{SPACE}$))"
            rf"(?:{WRAP}:?{WRAP}(?={SPACE}$)|(?P=wrap))",
            re.MULTILINE | re.IGNORECASE,
        )

    def sections(self, text: str) -> list[tuple[str, str]]:
        """Return the outputs in a reply, each with the text under its marker, in their order."""
        _, *parts = EXACT.split(text)
        names = parts[::2]
        is_plain = self.names.issuperset(names) and text.count("##") == len(parts)  # two for each: no others
        if parts and is_plain and len(set(names)) == len(names):
            return self._ended(list(zip(parts[::2], map(str.strip, parts[1::2]), strict=True)))
        return self._ended(list(self._loose_sections(text)))

    def name_of(self, match: re.Match[str]) -> str:
        """Return the name in a marker as the signature has it."""
        name = match["name"]
        return name if name in self.names else self._spellings[normal_name(name)]

    def knows(self, name: str) -> bool:
        """Whether a name, in any spelling, is a field's."""
        return normal_name(name) in self._spellings

    def found(self, text: str) -> list[Marker]:
        """Return the markers that count: those on a line of their own, or at its end, and others if need be."""
        found: list[Marker] = []
        weak: list[Marker] = []
        for match in self.loose.finditer(text):
            name = self.name_of(match)
            line_end = text.find("\n", match.end())
            after = text[match.end() : len(text) if line_end < 0 else line_end].strip()
            marker = Marker(name, match.start(), end_of(match), match["lead"] or "")
            if match["lead"] is not None:
                found.append(marker)
            elif name in self.names and (name != COMPLETED or not text[match.end() :].strip("`*_ \t\n>")):
                (weak if after else found).append(marker)
        named = {marker.name for marker in found}
        more = [marker for marker in weak if marker.name not in named]
        return sorted([*found, *more, *self._unknown(text)], key=lambda marker: marker.start)

    def _own_turn(self, found: list[Marker]) -> list[Marker]:
        """Return the markers up to another question, with which a model may go on after its answer.

        A reply that begins with an input repeats the conversation, and its last answer counts.
        """
        outputs: set[str] = set()
        for number, marker in enumerate(found):
            if marker.name in self.names:
                outputs.add(marker.name)
            elif number == 0:
                return found
            elif marker.name and (outputs >= self._outputs or (self.end_is_apart and COMPLETED in outputs)):
                return found[: number + 1]
        return found

    def _unknown(self, text: str) -> Iterator[Marker]:
        """Yield the markers of unknown fields, each on its own line; text under them belongs to no output."""
        for match in EXACT.finditer(text):
            if not self.knows(match[1]):
                yield Marker("", match.start(), match.end(), "")

    def _loose_sections(self, text: str) -> Iterator[tuple[str, str]]:
        found = self._own_turn(without_quoted(text, self.found(text)))
        fence = bool(found) and re.search(r"^[ \t]*```[\w-]*\s*\Z", text[: found[0].start], re.MULTILINE) is not None
        for number, marker in enumerate(found):
            stop = found[number + 1].start if number + 1 < len(found) else len(text)
            content = stripped(text[marker.end : stop])
            if ">" in marker.lead:
                content = _QUOTED.sub("", content).strip()
            if fence and number + 1 == len(found) and content.count("```") % 2:
                content = content.removesuffix("```").rstrip()
            yield marker.name, content

    def _ended(self, sections: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the sections without the mark of the end, also a half one; an output may have its name."""
        if sections:
            name, content = sections[-1]
            sections[-1] = name, without_half_marker(content)
        if not self.end_is_apart:
            return sections[:-1] if len(sections) > 1 and sections[-1] == (COMPLETED, "") else sections
        return sections


def without_half_marker(text: str) -> str:
    """Return the text under a marker without the beginning of another on its last line, where a reply broke off."""
    return _HALF.sub("", text).rstrip() if text.rpartition("\n")[2].lstrip()[:1] == "[" else text


def end_of(match: re.Match[str]) -> int:
    """Return where a marker ends, with the emphasis or the quotes around it."""
    around = _EMPHASIS.search(match["lead"] or "")
    closing = around[0][::-1] if around else ""
    return match.end() + len(closing) * match.string.startswith(closing, match.end())


def stripped(text: str) -> str:
    """Return the text under a marker without the space around it, of which some is not visible."""
    return text.strip().strip(BLANK)


def _spelling(name: str) -> str:
    return re.escape(name).replace("_", r"(?:\\?_|[ \t-])")


@lru_cache(maxsize=256)
def markers_of(signature: type[Signature]) -> Markers:
    """Return the markers of a signature; the same each time."""
    return Markers(tuple(signature.output_fields), tuple(signature.input_fields))


def plain_answer(signature: type[Signature], text: str) -> Mapping[str, str] | None:
    """Return the answer in a reply of nothing but markers, each once and written as asked, with texts under them."""
    markers = markers_of(signature)
    if may_think(text) or not markers.end_is_apart:
        return None
    parts = EXACT.split(text)
    names = parts[1::2]
    if not markers.names.issuperset(names) or text.count("##") != len(parts) - 1:  # two for each: no others
        return None
    found = dict(zip(names, map(str.strip, parts[2::2]), strict=True))
    if len(found) != len(names):
        return None
    if names and names[-1] != COMPLETED:
        found[names[-1]] = without_half_marker(found[names[-1]])
    found.pop(COMPLETED, None)
    return found or None


def marked_answers(signature: type[Signature], text: str) -> list[Mapping[str, str]]:
    """Return the answers under markers, the likeliest first."""
    outputs = signature.output_fields
    answers = split_answers(markers_of(signature).sections(text))
    named = [{name: text for name, text in answer.items() if name in outputs} for answer in answers]
    return likeliest(signature, [answer for answer in named if answer])
