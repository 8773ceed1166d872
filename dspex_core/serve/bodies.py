"""The bodies of requests: JSON objects of a limited size, read strictly. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import asyncio
import json
import math
from typing import TYPE_CHECKING, Any

from dspex_core.serve.contract import bad_input, check_object
from dspex_core.serve.refusals import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from dspex_core.errors import BadInputError

_READ_SECONDS = 30.0  # for all of a body; a client that is slower holds a connection, but no place among the calls
_DEPTH = 100


async def read_inputs(request: Request, max_body: int) -> dict[str, Any]:
    """Return the JSON object in a request's body.

    Raises:
        RefusedError: It is too large, of another type, or did not arrive in time.
        BadInputError: It is not a JSON object.
    """
    _check_headers(request.headers, max_body)
    try:
        async with asyncio.timeout(_READ_SECONDS):
            body = await _read(request, max_body)
    except TimeoutError:
        raise RefusedError(f"the body did not arrive within {_READ_SECONDS:g} seconds", http_status=408) from None
    return json_object(body)


def json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in some bytes.

    Raises:
        BadInputError: They are something else, or hold what JSON lacks: NaN, a name twice, half of a surrogate pair.
    """
    try:
        found: dict[str, Any] = _DECODER.decode(body.decode("utf-8"))
        if b"\\ud" in body.lower():
            json.dumps(found, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise _not_json("a text has half of a surrogate pair") from None
    except UnicodeDecodeError:
        raise _not_json("it is not UTF-8") from None
    except RecursionError:
        raise _not_json(f"it is nested more than {_DEPTH} levels deep") from None
    except ValueError as error:
        raise _not_json(str(error)) from None
    if body.count(b"[") + body.count(b"{") > _DEPTH and _depth(found) > _DEPTH:
        raise _not_json(f"it is nested more than {_DEPTH} levels deep")
    check_object(found)
    return found


def _check_headers(headers: Mapping[str, str], max_body: int) -> None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusedError("the body must be JSON: send Content-Type: application/json", http_status=415)
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise RefusedError("the body must not be compressed: send no Content-Encoding", http_status=415)
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > max_body:
        raise _too_large(max_body)


async def _read(request: Request, max_body: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > max_body:
            raise _too_large(max_body)
        parts.append(part)
    return b"".join(parts)


def _too_large(max_body: int) -> RefusedError:
    return RefusedError(
        f"the body has more than {max_body} bytes, which is the limit", http_status=413, details={"limit": max_body}
    )


def _not_json(problem: str) -> BadInputError:
    return bad_input([{"path": [], "type": "json_invalid", "message": f"is not JSON: {problem}"}])


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!r} stands twice in one object")
    return found


def _number(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise ValueError(f"the number {text} is too large")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"JSON has no {text}")


def _depth(found: Any) -> int:
    """Return how deep lists and objects nest; level by level, as recursion has a limit itself."""
    level, depth = [found], 0
    while level and depth <= _DEPTH:
        parts = [part.values() if isinstance(part, dict) else part for part in level if isinstance(part, dict | list)]
        level = [inner for part in parts for inner in part]
        depth += bool(parts)
    return depth


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_float=_number, parse_constant=_no_constant)
