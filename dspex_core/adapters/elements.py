"""Finds the elements of outputs in a reply. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from dspex_core.plain.reading.choices import normal_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.signatures.signature import Signature

_APART = re.compile(r"(?<=<!\[CDATA\[).*?(?=\]\]>)|<!--.*?-->", re.DOTALL)
_ATTRIBUTES = r"(?:(?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]{0,500}\"|'[^']{0,500}'))*\s*|\s[^<>]*?)"
_EMPHASES = ("**", "`")


class Element(NamedTuple):
    """An output's element: the text between its tags, and where the element begins and ends."""

    name: str
    content: str
    start: int
    end: int


class _Patterns(NamedTuple):
    exact: re.Pattern[str]
    loose: re.Pattern[str]
    tag: re.Pattern[str]
    spellings: Mapping[str, str]


def elements(signature: type[Signature], text: str) -> list[Element]:
    """Return the elements of the outputs in a reply, up to another question that follows a whole answer.

    A comment has no elements, and what is in CDATA is text.
    """
    names = tuple(signature.output_fields)
    seen = _APART.sub(lambda apart: " " * len(apart[0]), text) if "<!" in text else text
    found = [_without_emphasis(element, text) for element in _found(names, text, seen)]
    return _own_turn(found, names, tuple(signature.input_fields), seen)


def _found(names: tuple[str, ...], text: str, seen: str) -> list[Element]:
    patterns = _patterns(names)
    found = [_element(match[1], match, 2, text) for match in patterns.exact.finditer(seen)]
    if len(found) < len(names):
        loosely = [_element(patterns.spellings[name], match, "content", text) for name, match in _named(patterns, seen)]
        if len({each.name for each in loosely}) > len({each.name for each in found}):
            found = loosely
    nested = _nested(names, text, seen) if len(patterns.tag.findall(seen)) > 2 * len(found) else None
    return nested or found


def _named(patterns: _Patterns, seen: str) -> list[tuple[str, re.Match[str]]]:
    spellings = patterns.spellings
    return [
        (match["name"] if match["name"] in spellings else normal_name(match["name"]), match)
        for match in patterns.loose.finditer(seen)
    ]


def _element(name: str, match: re.Match[str], group: str | int, text: str) -> Element:
    start, end = match.span(group)
    return Element(name, text[start:end].strip() if start >= 0 else "", match.start(), match.end())


def _nested(names: tuple[str, ...], text: str, seen: str) -> list[Element] | None:
    """Return the outermost elements of a reply in which some contain others of their name.

    Returns `None` if a tag has no partner: then it is only mentioned.
    """
    found: list[Element] = []
    begun: list[re.Match[str]] = []
    for tag in _patterns(names).tag.finditer(seen):
        if begun and tag["name"] != begun[0]["name"]:
            continue  # text of the element
        if not tag["end"]:
            begun.append(tag)
            continue
        if not begun:
            return None
        first = begun[0]
        begun.pop()
        if not begun:
            content = _innermost(tag["name"], text[first.end() : tag.start()].strip())
            found.append(Element(tag["name"], content, first.start(), tag.end()))
    return None if begun else found


def _innermost(name: str, content: str) -> str:
    """Return a content without further tags of its name around all of it."""
    begin, end = f"<{name}>", f"</{name}>"
    while content.startswith(begin) and content.find(end) == len(content) - len(end):
        content = content.removeprefix(begin).removesuffix(end).strip()
    return content


def _without_emphasis(element: Element, text: str) -> Element:
    """Return an element without emphasis or backticks that are around its tags, and not around its content."""
    content = element.content
    for mark in _EMPHASES:
        if text.endswith(mark, 0, element.start) and content.startswith(mark):
            content = content.removeprefix(mark)
        if text.startswith(mark, element.end) and content.endswith(mark):
            content = content.removesuffix(mark)
    return element if content is element.content else element._replace(content=content.strip())


def _own_turn(found: list[Element], names: tuple[str, ...], inputs: Sequence[str], seen: str) -> list[Element]:
    """Return the elements before an input with which a model goes on after a whole answer."""
    if len(found) <= len(names) or not inputs:
        return found
    for begin in re.finditer(rf"<(?:{'|'.join(map(re.escape, inputs))})(?:\s[^<>]*)?>", seen):
        if begin.start() < found[0].start:
            return found  # it repeats the conversation
        before = [element for element in found if element.end <= begin.start()]
        is_inside = any(element.start < begin.start() < element.end for element in found)
        if not is_inside and {element.name for element in before}.issuperset(names):
            return before
    return found


@lru_cache(maxsize=256)
def _patterns(names: tuple[str, ...]) -> _Patterns:
    # A tag that is only mentioned is skipped: the text between the last one and its end counts.
    exact = "|".join(map(re.escape, names))
    loose = "|".join(re.escape(name).replace("_", "[_ -]") for name in names)
    return _Patterns(
        re.compile(rf"<({exact})>((?:(?!<\1>).)*?)</\1>", re.DOTALL),
        re.compile(
            rf"<(?:\w+:)?(?P<name>{loose}){_ATTRIBUTES}(?:/>|>"
            rf"(?P<content>(?:(?!<(?:\w+:)?(?P=name)[\s>]).)*?)</\s*(?:\w+:)?(?P=name)\s*>)",
            re.DOTALL | re.IGNORECASE,
        ),
        re.compile(rf"<(?P<end>/)?(?P<name>{exact})(?:\s[^<>]*)?>"),
        {**{normal_name(name): name for name in names}, **{name: name for name in names}},
    )
