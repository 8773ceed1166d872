"""Markers that an answer quotes. PYTEST_DONT_REWRITE

An answer about prompts may quote a whole answer: in a fenced block, behind `>`, indented, or plainly with its own mark
of the end. Such markers are text, provided that the reply has all outputs without them and goes on behind them. A draft
or a correction is not quoted: nothing of the answer around it follows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

COMPLETED = "completed"
_FENCE = re.compile(r"^[ \t]{0,12}(?P<mark>`{3,}|~{3,})(?P<info>[^\n`]*)$", re.MULTILINE)
_DEEP = 4  # spaces that make a line of Markdown code


class Marker(NamedTuple):
    """A marker in a reply: the name as the signature has it, and where it begins and ends."""

    name: str
    start: int
    end: int
    lead: str


def without_quoted(text: str, found: list[Marker]) -> list[Marker]:
    """Return the markers of a reply that are not quoted."""
    if len({marker.name for marker in found}) == len(found):
        return found  # nearly always
    blocks = fenced_blocks(text, found[0].end)
    quoted = [
        marker
        for marker in found
        if any(start < marker.start < end for start, end in blocks) or is_deeper(marker.lead, found[0].lead)
    ]
    return _without(_without(found, quoted), _nested(text, found))


def _without(found: list[Marker], quoted: Sequence[Marker]) -> list[Marker]:
    """Return the markers but for quoted ones, unless an output, or the end of the answer, is only among these."""
    kept = [marker for marker in found if marker not in quoted]
    if len(kept) == len(found) or not kept or kept[-1].start < quoted[-1].start:
        return found
    return kept if {marker.name for marker in kept} == {marker.name for marker in found} else found


def _nested(text: str, found: list[Marker]) -> list[Marker]:
    """Return the markers of an answer inside an output: it has its own mark of the end before that of the reply."""
    names: set[str] = set()
    again: int | None = None
    for number, marker in enumerate(found[:-1]):
        if marker.name != COMPLETED:
            again = number if again is None and marker.name in names else again
            names.add(marker.name)
            continue
        around = [each.name for each in (*found[:again], *found[number + 1 :])]
        if again is not None and len(set(around)) == len(around) and text[marker.end : found[number + 1].start].strip():
            return found[again : number + 1]
        names, again = set(), None
    return []


def fenced_blocks(text: str, start: int) -> list[tuple[int, int]]:
    """Return where the fenced blocks behind a place begin and end; one that is not closed is not among them."""
    blocks: list[tuple[int, int]] = []
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text, start):
        if opened is None:
            opened = fence
        elif closes(opened, fence):
            blocks.append((opened.start(), fence.end()))
            opened = None
    return blocks


def open_fence(text: str) -> re.Match[str] | None:
    """Return the fence of a block that a text leaves open."""
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opened is None:
            opened = fence
        elif closes(opened, fence):
            opened = None
    return opened


def closes(opened: re.Match[str], fence: re.Match[str]) -> bool:
    """Whether a fence closes the block of another one."""
    return fence["mark"].startswith(opened["mark"]) and not fence["info"].strip()


def closing_fence(opened: re.Match[str], text: str, start: int) -> re.Match[str] | None:
    """Return the fence that closes a block behind a place of a text."""
    return next((fence for fence in _FENCE.finditer(text, start) if closes(opened, fence)), None)


def is_deeper(lead: str, outer: str) -> bool:
    """Whether a line is quoted or indented more than another one, by what is before their markers."""
    indented, least = (len(each.expandtabs(_DEEP)) - len(each.expandtabs(_DEEP).lstrip(" ")) for each in (lead, outer))
    return lead.count(">") > outer.count(">") or indented >= least + _DEEP
