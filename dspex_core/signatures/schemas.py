"""JSON schemas: in words for prompts, and in the strict form that servers enforce. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from textwrap import indent
from typing import Any

Schema = Mapping[str, Any]
Layout = Callable[[Iterable[tuple[str, str, str]]], str]  # of an object's properties: name, type, description

_NAMES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "null"}

_CONSTRAINTS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "length at least {}",
    "maxLength": "length at most {}",
    "pattern": "matching {}",
    "minItems": "length at least {}",
    "maxItems": "length at most {}",
}

# What OpenAI's strict mode and llama.cpp's grammars both take. The rest (lengths, patterns) is
# checked when the reply is parsed.
_ENFORCED = ("type", "enum", "const", *_CONSTRAINTS.keys() - {"minLength", "maxLength", "pattern"})
# The limits of OpenAI's strict mode, for a schema as a whole.
_MAX_NAMES, _MAX_CHOICES, _MAX_LETTERS, _MAX_DEPTH = 5000, 1000, 120_000, 10
_FORMATS = frozenset({"date", "time", "date-time", "uuid"})


def describe(schema: Schema) -> str:
    """Describe a schema in a few words: `int, at least 0`, `one of "a", "b"`, `{name: str}`."""
    return _describe(schema, schema.get("$defs", {}), (), _in_one_line)


def outline(schema: Schema) -> str:
    """Describe a schema as `describe` does, with each property of an object on its own line, as in BAML."""
    return _describe(schema, schema.get("$defs", {}), (), _in_lines)


def strict(schema: Schema) -> dict[str, Any]:
    """Return the schema as servers can enforce it: every property required, no others, no defaults."""
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}  # strict mode takes no other keyword beside a reference
    kept = {key: value for key, value in schema.items() if key in _ENFORCED}
    if schema.get("format") in _FORMATS:
        kept["format"] = schema["format"]
    for key, name in (("anyOf", "anyOf"), ("oneOf", "anyOf"), ("prefixItems", "prefixItems")):
        if key in schema:
            kept[name] = [strict(part) for part in schema[key]]
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            kept[key] = strict(schema[key])
    for key in ("properties", "$defs"):
        if key in schema:
            kept[key] = {name: strict(part) for name, part in schema[key].items()}
    if "properties" in schema:
        kept |= {"required": list(schema["properties"]), "additionalProperties": False}
    return kept


def choices(schema: Schema, defs: Schema | None = None) -> list[Any]:
    """Return the values that a schema chooses from: itself, as an optional value, or as the items of a list."""
    defs = schema.get("$defs", {}) if defs is None else defs
    match schema:
        case {"enum": [*values]}:
            return values
        case {"$ref": str(ref)}:
            target = defs.get(ref.rpartition("/")[2], {})
            return list(target.get("enum", ()))
        case {"anyOf": [*parts]}:
            found = [values for part in parts if (values := choices(part, defs))]
            return found[0] if len(found) == 1 else []
        case {"type": "array", "items": Mapping() as items}:
            return choices(items, defs)
    return []


def with_choices(schema: Schema, first: Sequence[Any], defs: Schema | None = None) -> Schema:
    """Return the schema with `choices` in another order.

    Args:
        schema: The schema.
        first: The values that come first, in that order; the others follow.
        defs: The definitions that the schema refers to, where it does not have them.
    """
    if not first:
        return schema
    defs = schema.get("$defs", {}) if defs is None else defs
    match schema:
        case {"enum": [*values]}:
            place = {written(value): number for number, value in enumerate(first)}
            return {**schema, "enum": sorted(values, key=lambda value: place.get(written(value), len(place)))}
        case {"$ref": str(ref)} if "enum" in (target := defs.get(ref.rpartition("/")[2], {})):
            return {**with_choices(target, first, defs), **{key: schema[key] for key in schema if key != "$ref"}}
        case {"anyOf": [*parts]}:
            return {**schema, "anyOf": [with_choices(part, first, defs) for part in parts]}
        case {"type": "array", "items": Mapping() as items}:
            return {**schema, "items": with_choices(items, first, defs)}
    return schema


def written(value: Any) -> str:
    """Return a choice as JSON has it, in which 1 is not True."""
    return json.dumps(value, ensure_ascii=False, default=repr)


def is_closed(schema: Schema) -> bool:
    """Return whether OpenAI's strict mode accepts a schema made by `strict`.

    Such a schema lists everything that it admits, unlike a dict with any keys, a list of any items, a tuple, a choice
    of several types or a value of any type. And it stays within the mode's size limits.
    """
    parts = list(_parts(schema))
    return all(map(_says_all, parts)) and _is_small(parts) and _depth(schema, schema.get("$defs", {}), ()) <= _MAX_DEPTH


def _parts(schema: Schema) -> Iterator[Schema]:
    """Yield a schema and all schemas in it."""
    yield schema
    for part in [*schema.get("$defs", {}).values(), *_inner(schema)]:
        yield from _parts(part)


def _inner(schema: Schema) -> list[Schema]:
    items = [schema["items"]] if "items" in schema else []
    return [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *items]


def _says_all(schema: Schema) -> bool:
    match schema:
        case {"$ref": _} | {"anyOf": _}:
            return True
        case {"prefixItems": _}:
            return False
        case {"type": "array"}:
            return "items" in schema
        case {"type": "object"}:
            return "properties" in schema and schema.get("additionalProperties") is False
        case _:
            return "type" in schema


def _is_small(parts: Sequence[Schema]) -> bool:
    names = [name for part in parts for key in ("properties", "$defs") for name in part.get(key, ())]
    choices = [str(choice) for part in parts for choice in part.get("enum", ())]
    letters = sum(map(len, [*names, *choices]))
    return len(names) <= _MAX_NAMES and len(choices) <= _MAX_CHOICES and letters <= _MAX_LETTERS


def _depth(schema: Schema, defs: Schema, within: tuple[str, ...]) -> int:
    """Return the nesting depth of objects; recursion counts once."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return 0 if name in within else _depth(defs[name], defs, (*within, name))
    return max((_depth(part, defs, within) for part in _inner(schema)), default=0) + ("properties" in schema)


def _describe(schema: Schema, defs: Schema, within: tuple[str, ...], layout: Layout) -> str:
    kind = _kind(schema, defs, within, layout)
    if "prefixItems" in schema:
        return kind  # a tuple's length shows
    return ", ".join([kind, *(words.format(schema[key]) for key, words in _CONSTRAINTS.items() if key in schema)])


def _kind(  # noqa: C901, PLR0911  one return per kind of schema
    schema: Schema, defs: Schema, within: tuple[str, ...], layout: Layout
) -> str:
    match schema:
        case {"$ref": str(ref)}:
            name = ref.rpartition("/")[2]
            return name if name in within else _describe(defs[name], defs, (*within, name), layout)
        case {"enum": [*choices]}:
            return f"one of {', '.join(_literal(choice) for choice in choices)}"
        case {"const": choice}:
            return _literal(choice)
        case {"anyOf": [*options]} | {"oneOf": [*options]}:
            return " or ".join(_describe(option, defs, within, layout) for option in options)
        case {"prefixItems": [*items]}:
            return f"[{', '.join(_describe(item, defs, within, layout) for item in items)}]"
        case {"type": "array"}:
            return f"list[{_describe(schema.get('items', {}), defs, within, layout)}]"
        case {"properties": Mapping() as properties}:
            return layout(
                (name, _describe(value, defs, within, layout), value.get("description", ""))
                for name, value in properties.items()
            )
        case {"type": "object"}:
            values = schema.get("additionalProperties")
            return f"dict[str, {_describe(values, defs, within, layout) if isinstance(values, Mapping) else 'any'}]"
        case {"type": "string", "format": str(kind)}:
            return kind
        case {"type": str(kind)}:
            return _NAMES.get(kind, kind)
        case _:
            return "any"


def _in_one_line(properties: Iterable[tuple[str, str, str]]) -> str:
    texts = [f"{name}: {kind} ({words})" if words else f"{name}: {kind}" for name, kind, words in properties]
    return f"{{{', '.join(texts)}}}"


def _in_lines(properties: Iterable[tuple[str, str, str]]) -> str:
    lines = []
    for name, kind, words in properties:
        lines += [f"# {line}" for line in words.splitlines()]
        lines.append(f"{name}: {kind}")
    return "\n".join(["{", indent("\n".join(lines), "  "), "}"])


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
