"""JSON schemas: in words for prompts, and in the strict form that servers enforce. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
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
_FORMATS = frozenset({"date", "time", "date-time", "uuid"})


def describe(schema: Schema) -> str:
    """Say in a few words what a schema admits: `int, at least 0`, `one of "a", "b"`, `{name: str}`."""
    return _describe(schema, schema.get("$defs", {}), (), _in_one_line)


def outline(schema: Schema) -> str:
    """Say what a schema admits as `describe` does, with objects over several lines: a property a line, as in BAML."""
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


def is_closed(schema: Schema) -> bool:
    """Tell whether a schema made by `strict` names all that it admits, as OpenAI's strict mode demands.

    A dict with keys of any name, or a value of any type, does not.
    """
    if not schema or isinstance(schema.get("additionalProperties"), Mapping):
        return False
    if schema.get("type") == "object" and "properties" not in schema:
        return False
    parts = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values(), *schema.get("anyOf", ())]
    return all(is_closed(part) for part in [*parts, *([schema["items"]] if "items" in schema else [])])


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
