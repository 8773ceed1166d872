"""Outputs between tags, as models write them. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import html
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args, get_origin
from xml.etree import ElementTree as ET

from dspex_core.adapters.answers import likeliest, split_answers
from dspex_core.adapters.elements import elements
from dspex_core.adapters.parse import parse_text, parse_value
from dspex_core.plain.reading.annotations import bare_type, without_none
from dspex_core.plain.reading.forgiving import field_names, fields_of, is_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dspex_core.signatures.signature import Signature, SignatureField

_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")
_BARE = re.compile(r"&(?!(?:#\d+|#[xX][0-9a-fA-F]+|amp|lt|gt|quot|apos);)")
_MAX_DEPTH = 100  # elements in elements; more is a model caught in a loop


class Repeated(list[str]):
    """The contents of several elements of one name: the items of a list."""


def only_answer(signature: type[Signature], text: str) -> Mapping[str, Any] | None:
    """Return the answer in a reply of nothing but all the outputs in their order, with no other tag in them."""
    names = tuple(signature.output_fields)
    match = _layout(names).fullmatch(text)
    if match is None or "[/" in text or "\u25c1" in text:  # the latter may end thinking
        return None
    return dict(zip(names, map(str.strip, match.groups()), strict=True))


@lru_cache(maxsize=256)
def _layout(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("".join(rf"\s*<{name}>([^<]*)</{name}>" for name in map(re.escape, names)) + r"\s*")


def tagged_answers(signature: type[Signature], text: str) -> Iterator[Mapping[str, Any]]:
    """Yield the answers between tags, the likeliest first; at last repeated elements as the items of a list."""
    sections = [(part.name, part.content) for part in elements(signature, text)]
    answers = split_answers(sections)
    yield from likeliest(signature, answers)
    if len(answers) > 1:
        merged: dict[str, Any] = {}
        for name, content in sections:
            merged.setdefault(name, Repeated()).append(content)
        yield {name: contents if len(contents) > 1 else contents[0] for name, contents in merged.items()}


def read_content(field: SignatureField, content: Any) -> Any:
    """Return the text between tags converted to the field's type.

    Raises:
        ValueError: The text does not fit; a pydantic.ValidationError if pydantic refuses it.
    """
    if isinstance(content, Repeated):
        if not is_list(without_none(field.annotation)):
            return read_content(field, content[-1])
        item = (get_args(bare_type(without_none(field.annotation))) or (Any,))[0]
        return parse_value(field, [_item(item, text) for text in content])
    try:
        return parse_text(field, plain(content))
    except ValueError:
        nested = _nested(content, field.annotation)
        if nested is None:
            nested = None if content.strip() else _empty(field.annotation)
        if nested is None:
            raise
        return parse_value(field, nested)


def plain(content: str) -> str:
    """Return the text between tags, unescaped."""
    if "&" not in content and "<![" not in content:
        return content
    parts = _CDATA.split(content)  # every second one stood in CDATA, where nothing stands for something else
    parts[::2] = [_ENTITY.sub(lambda entity: html.unescape(entity[0]), part) for part in parts[::2]]
    return "".join(parts)


def _empty(kind: Any) -> list[Any] | dict[str, Any] | None:
    """Return the value of an empty element of a type; `None` if it is not a collection."""
    bare = bare_type(without_none(kind))
    if is_list(bare):
        return []
    return {} if (get_origin(bare) or bare) is dict else None


def _nested(content: str, kind: Any) -> Any:
    """Return the data of nested elements; `None` if there are no elements."""
    if "<" not in content:
        return None
    for text in (content, _BARE.sub("&amp;", content)):
        try:
            root = ET.fromstring(f"<root>{text}</root>")  # noqa: S314  inside an element no entity can be defined
        except (ET.ParseError, ValueError):  # ValueError: characters that XML does not allow
            continue
        return _data(root, kind, 0) if len(root) else None
    return None


def _item(kind: Any, content: str) -> Any:
    nested = _nested(content, kind)
    return plain(content) if nested is None else nested


def _data(element: ET.Element, kind: Any, depth: int) -> Any:
    """Return an element as data, as far as possible of a type."""
    bare = bare_type(without_none(kind))
    if depth > _MAX_DEPTH:
        raise ValueError("the elements are nested too deeply")
    if not len(element) and not (element.attrib and fields_of(bare)):
        content = (element.text or "").strip()
        empty = None if content else _empty(bare)
        return content if empty is None else empty
    if is_list(bare):
        item = (get_args(bare) or (Any,))[0]
        return [_data(child, item, depth + 1) for child in element]
    if all(child.tag == "item" for child in element) and len(element):
        return [_data(child, Any, depth + 1) for child in element]
    return _object(element, bare, depth)


def _object(element: ET.Element, kind: Any, depth: int) -> dict[str, Any]:
    fields, parts = fields_of(kind), get_args(kind)
    values = parts[1] if get_origin(kind) is dict and len(parts) == 2 else Any  # noqa: PLR2004  the types of key and value
    grouped: dict[str, list[ET.Element]] = {}
    for child in element:
        grouped.setdefault(_key(child), []).append(child)
    names = field_names(fields, grouped) if fields else {}
    found: dict[str, Any] = dict(element.attrib) if fields else {}
    for key, children in grouped.items():
        own = fields.get(names.get(key, key), values)
        items = get_args(bare_type(without_none(own)))
        if is_list(bare_type(without_none(own))) and (len(children) > 1 or _is_item(children[0], items)):
            found[key] = [_data(child, items[0] if items else Any, depth + 1) for child in children]
        else:
            each = [_data(child, own, depth + 1) for child in children]
            found[key] = each[0] if len(each) == 1 else each
    return found


def _is_item(element: ET.Element, items: tuple[Any, ...]) -> bool:
    """Whether an element is an item of a list, and not the list: its children are the fields of one."""
    wanted = fields_of(bare_type(items[0])) if items else {}
    return any(child.tag in wanted for child in element)


def _key(element: ET.Element) -> str:
    name = element.tag.rpartition("}")[2]
    return element.get("key", name) if name == "entry" else name
