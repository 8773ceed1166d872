"""The OpenAPI document of served programs: their schemas are those of requests and responses. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dspex_core.serve.interface import JSONObject, ServedProgram

_PLACE = "#/components/schemas/"
_VALUES = frozenset({"default", "const", "enum", "examples", "example"})  # data, in which "$ref" is a name like others
_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "description": "The kind of the error, for programs; it never changes."},
                "message": {"type": "string", "description": "What went wrong, for people."},
                "details": {"type": "object", "additionalProperties": True},
                "request_id": {"type": ["string", "null"], "description": "The id in the header X-Request-ID."},
            },
            "required": ["code", "message", "details", "request_id"],
        }
    },
    "required": ["error"],
}
_FAULTS = {
    401: "The token is missing or wrong.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is not announced as JSON.",
    421: "The service is not reached by this host name.",
    422: "The body is not JSON, or does not fit the schema; details.faults has each fault with its path.",
    429: "The request needs more than one request may use.",
    500: "The program has failed.",
    502: "The worker that ran the program has ended.",
    503: "Too many calls are under way, or the service ends: try again after Retry-After seconds.",
    504: "The program has not answered in time.",
}


def components(programs: Iterable[ServedProgram]) -> dict[str, Any]:
    """Return the schemas of a document: inputs, outputs and shared types of each program, and that of errors."""
    found: dict[str, Any] = {"Error": _ERROR}
    for program in programs:
        for part, schema in (("inputs", program.input_schema), ("outputs", program.output_schema)):
            prefix = f"{program.name}.{part}"
            own = {name: value for name, value in schema.items() if name != "$defs"}
            found[prefix] = _moved(own, prefix)
            found |= {f"{prefix}.{name}": _moved(kind, prefix) for name, kind in schema.get("$defs", {}).items()}
    return found


def request_body(program: ServedProgram) -> dict[str, Any]:
    """Return what an operation's document says of its request."""
    content = {"application/json": {"schema": {"$ref": f"{_PLACE}{program.name}.inputs"}}}
    return {"requestBody": {"required": True, "content": content}}


def responses(program: ServedProgram, *, streams: bool) -> dict[int | str, dict[str, Any]]:
    """Return what an operation's document says of its responses."""
    faults: dict[int | str, dict[str, Any]] = {
        status: {"description": words, "content": {"application/json": {"schema": {"$ref": f"{_PLACE}Error"}}}}
        for status, words in _FAULTS.items()
    }
    if streams:
        words = "Server-sent events: `piece` for each piece of an output, then one `outputs` or `error`."
        return {200: {"description": words, "content": {"text/event-stream": {}}}, **faults}
    content = {"application/json": {"schema": {"$ref": f"{_PLACE}{program.name}.outputs"}}}
    return {200: {"description": "The outputs.", "content": content}, **faults}


def _moved(schema: Any, prefix: str) -> Any:
    """Return a schema whose references lead to the document's components."""
    if isinstance(schema, list):
        return [_moved(part, prefix) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {name: value if name in _VALUES else _moved_part(name, value, prefix) for name, value in schema.items()}


def _moved_part(name: str, value: Any, prefix: str) -> Any:
    if name == "$ref" and isinstance(value, str):
        return f"{_PLACE}{prefix}.{value.rpartition('/')[2]}"
    if name == "mapping" and isinstance(value, Mapping):  # of a discriminator
        return {kind: _moved_part("$ref", place, prefix) for kind, place in value.items()}
    return _moved(value, prefix)


def described(program: ServedProgram) -> JSONObject:
    """Return a program as `GET /programs` shows it."""
    return {
        "name": program.name,
        "description": program.description,
        "input_schema": program.input_schema,
        "output_schema": program.output_schema,
    }
