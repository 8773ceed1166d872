"""Outputs under marker lines, read while the reply arrives. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from dspex_core.adapters.markers import BLANK, EXACT, LEAD, OPEN, SPACE, WRAP, end_of, without_half_marker
from dspex_core.adapters.quoted import COMPLETED, closing_fence, is_deeper, open_fence
from dspex_core.adapters.streams import ScanningStream

if TYPE_CHECKING:
    from collections.abc import Collection

    from dspex_core.adapters.markers import Markers
    from dspex_core.adapters.streams import FieldChunk

_LONGEST = 500  # characters that a marker and what is around it may have
_Verdict = Literal["marker", "text", "open"]
# A possible beginning of a marker, or trailing space.
_HELD = re.compile(
    rf"\s*(?:^{LEAD}(?:\d{{1,3}}[.)]?)?)?{WRAP}(?:{OPEN}{SPACE}(?:{OPEN}{SPACE}(?:\\?[#\uff03][^\n]{{0,200}})?)?)?\\?\s*\Z",
    re.MULTILINE,
)


class MarkerStream(ScanningStream):
    """Outputs that each begin with a marker; the next marker ends one.

    Text that may become a marker, by the rules of `Markers.found`, is held back.

    Args:
        names: The outputs.
        markers: The markers.
    """

    def __init__(self, names: Collection[str], markers: Markers) -> None:
        super().__init__(names)
        self._markers = markers
        self._seen: set[str] = set()
        self._told: list[str] = []  # the text of the current output so far
        self._lead = ""  # before its marker
        self._quotes = False  # whether the current output quotes markers
        self._begun = False
        self._is_closing = False

    def close(self) -> list[FieldChunk]:
        """Process the end of the reply, which decides open markers."""
        self._is_closing = True
        return [*self.feed("\n"), *super().close()]

    def _advance(self, chunks: list[FieldChunk]) -> bool:
        for match in sorted(self._candidates(), key=re.Match.start):
            verdict = self._if_quoted(match) or self._verdict(match)
            if verdict == "open" and not self._is_closing:
                self._tell_until(chunks, self._at + len(self._text[self._at : match.start()].rstrip()), last=False)
                return False
            if verdict != "text":
                self._tell_until(chunks, match.start(), last=True)
                self._begin(match)
                return True
        held = _HELD.search(self._text, max(self._at, len(self._text) - _LONGEST))
        self._tell_until(chunks, len(self._text) if held is None else held.start(), last=False)
        return False

    def _candidates(self) -> list[re.Match[str]]:
        found = list(self._markers.loose.finditer(self._text, self._at))
        unknown = EXACT.finditer(self._text, self._at)
        return [*found, *(match for match in unknown if not self._markers.knows(match[1]))]

    def _if_quoted(self, match: re.Match[str]) -> _Verdict | None:
        """Return the verdict on a marker that the current output may quote; `None` if it does not."""
        if self._field is None:
            return None
        if match.re is not EXACT and is_deeper(match["lead"] or "", self._lead):
            name = self._markers.name_of(match)
            self._quotes = self._quotes or name in self._seen
            if self._quotes:
                return "text"
        opened = open_fence("".join(self._told) + self._text[self._at : match.start()])
        if opened is None:
            return None
        if closing_fence(opened, self._text, match.end()):
            return "text"
        return None if self._is_closing else "open"

    def _verdict(self, match: re.Match[str]) -> _Verdict:
        """Return whether a marker counts, as far as known."""
        rest = self._text[match.end() :]
        line, is_whole, _ = rest.partition("\n")
        if match.re is EXACT or match["lead"] is not None:
            return "marker" if is_whole or line.strip("*_`\"'~: \t") else "open"
        name = self._markers.name_of(match)
        if name not in self._markers.names:
            return "text"
        if name == COMPLETED:
            return "text" if rest.strip("`*_ \t\n>") else "open"
        if not line.strip():
            return "marker" if is_whole else "open"
        if name in self._seen or self._is_closing:  # a reply that cannot be read lacks more than this
            return "text"
        later = self._markers.loose.finditer(self._text, match.end())
        return "text" if any(self._is_strong(other, name) for other in later) else "open"

    def _is_strong(self, match: re.Match[str], name: str) -> bool:
        line, is_whole, _ = self._text[match.end() :].partition("\n")
        is_alone = match["lead"] is not None or (bool(is_whole) and not line.strip())
        return is_alone and self._markers.name_of(match) == name

    def _begin(self, match: re.Match[str]) -> None:
        name = "" if match.re is EXACT else self._markers.name_of(match)
        self._seen.add(name)
        # Text that is quoted line by line is emitted at the end.
        self._field = None if match.re is not EXACT and ">" in (match["lead"] or "") else name
        self._begun, self._at = False, match.end() if match.re is EXACT else end_of(match)
        self._quotes, self._told, self._lead = False, [], "" if match.re is EXACT else match["lead"] or ""

    def _tell_until(self, chunks: list[FieldChunk], stop: int, *, last: bool) -> None:
        written = self._text[self._at : stop]
        if self._field is None:
            self._at = stop
            return
        self._told.append(written)
        if not self._begun:
            written = written.lstrip(BLANK)
            self._begun = bool(written)
        if last:
            written = written.rstrip(BLANK)
        self._at = stop
        self._emit(chunks, written, last=last)

    def _rest(self, text: str) -> str:
        return without_half_marker(text.rstrip()) if self._begun else text.strip()
