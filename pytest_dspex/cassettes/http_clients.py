"""How the HTTP recorder stands before each client library. PYTEST_DONT_REWRITE

For httpx, httpx2 and aiohttp this is vcrpy's code, for one request at a time: vcrpy's own way of patching belongs to
one cassette and one thread, and reads replies of servers that are not recorded to their end, however long they last. It
is imported at the first request to an LM. urllib3 (requests, botocore) and `http.client` (`urllib.request`) are patched
without it, as it replaces their classes, also while other threads use them.

A patch is a method of a class that already exists. So what the library or its users have subclassed is recorded, too.
"""

from __future__ import annotations

import functools
from io import BytesIO
from typing import TYPE_CHECKING, Any

from dspex_core.plugin_api import foreign_code, past_recorder
from pytest_dspex.cassettes.http_door import Exchange, recorder_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType

    from pytest_dspex.cassettes.exchange import HTTPReply
    from pytest_dspex.cassettes.http_door import HTTPDoor


def before_httpx(door: HTTPDoor, real: Callable[..., Any], module: ModuleType) -> Callable[..., Any]:
    """Stand before `HTTPTransport.handle_request` of httpx or httpx2."""

    @functools.wraps(real)
    def handle_request(transport: Any, request: Any) -> Any:
        recorder = door.recorder(request.method, str(request.url), lambda: _httpx_body(request))
        if recorder is None or _is_replaced(transport, "handle_request"):
            return real(transport, request)
        with foreign_code():
            from vcr.stubs.httpx_stubs import vcr_handle_request  # heavy: it imports each client library there is

        return vcr_handle_request(Exchange(recorder), _apart(real), module)(transport, request)

    return handle_request


def before_async_httpx(door: HTTPDoor, real: Callable[..., Any], module: ModuleType) -> Callable[..., Any]:
    """Stand before `AsyncHTTPTransport.handle_async_request` of httpx or httpx2."""

    @functools.wraps(real)
    async def handle_async_request(transport: Any, request: Any) -> Any:
        recorder = door.recorder(request.method, str(request.url), lambda: _httpx_body(request))
        if recorder is None or _is_replaced(transport, "handle_async_request"):
            return await real(transport, request)
        with foreign_code():
            from vcr.stubs.httpx_stubs import vcr_handle_async_request  # as in before_httpx

        return await vcr_handle_async_request(Exchange(recorder), _async_apart(real), module)(transport, request)

    return handle_async_request


def before_aiohttp(door: HTTPDoor, real: Callable[..., Any], module: ModuleType) -> Callable[..., Any]:
    """Stand before `ClientSession._request` of aiohttp."""

    @functools.wraps(real)
    async def request(session: Any, method: str, url: Any, **options: Any) -> Any:
        if recorder_here() is None:
            return await real(session, method, url, **options)
        whole = str(session._build_url(url))  # noqa: SLF001  no public way; sessions may have a base URL
        data = options.get("json") if options.get("data") is None else options["data"]
        recorder = door.recorder(method, whole, lambda: data)
        if recorder is None:
            return await real(session, method, url, **options)
        if "upgrade" in {name.lower() for name in options.get("headers") or ()}:  # a WebSocket has no one reply
            Exchange(recorder).replayed(method, whole, (), None)
            return await real(session, method, url, **options)
        if isinstance(data, module.FormData):
            options["data"] = await _form_bytes(data)
            options["headers"] = {**(options.get("headers") or {}), "Content-Type": data.content_type}
        with foreign_code():
            from vcr.stubs.aiohttp_stubs import vcr_request  # as in before_httpx

        return await vcr_request(Exchange(recorder), _async_apart(real))(session, method, whole, **options)

    return request


def before_urllib3(door: HTTPDoor, real: Callable[..., Any], module: ModuleType) -> Callable[..., Any]:  # noqa: ARG001  one form for all
    """Stand before `HTTPConnectionPool.urlopen` of urllib3, through which requests and botocore go, too."""

    @functools.wraps(real)
    def urlopen(
        pool: Any, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Any:
        if recorder_here() is None:
            return real(pool, method, url, body, headers, **options)
        whole = url if "://" in url else f"{pool.scheme}://{netloc(pool.host, pool.port)}{url}"
        recorder = door.recorder(method, whole, lambda: body)
        if recorder is None:
            return real(pool, method, url, body, headers, **options)
        body = _as_bytes(body)
        sent = {**(pool.headers or {}), **(headers or {})}
        exchange = Exchange(recorder)
        reply = exchange.replayed(method, whole, _header_pairs(sent), body)
        if reply is None:
            with past_recorder():
                live = real(pool, method, url, body, headers, **{**options, "preload_content": False})
                reply = exchange.recorded(live.status, live.headers.items(), live.read(decode_content=False))
                live.release_conn()
        return _urllib3_response(reply, method, whole, options)

    return urlopen


def _urllib3_response(reply: HTTPReply, method: str, url: str, options: Mapping[str, Any]) -> Any:
    from http.client import responses  # whoever comes here has imported both

    with foreign_code():
        from urllib3 import HTTPResponse, Retry

    return HTTPResponse(
        BytesIO(reply.body),
        headers={**reply.headers, "content-length": str(len(reply.body))},
        status=reply.status,
        reason=responses.get(reply.status),
        version=11,
        preload_content=options.get("preload_content", True),
        decode_content=options.get("decode_content", True),
        retries=retries if isinstance(retries := options.get("retries"), Retry) else None,
        request_method=method,
        request_url=url,
    )


def before_getaddrinfo(door: HTTPDoor, real: Callable[..., Any], module: ModuleType) -> Callable[..., Any]:  # noqa: ARG001  one form for all
    """Stand before `socket.getaddrinfo`: a replaying session refuses connections of clients that are not patched."""

    @functools.wraps(real)
    def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        door.check_address(host, port)
        return real(host, port, *args, **options)

    return getaddrinfo


def before_dspy_cache(door: HTTPDoor, real: Callable[..., Any], module: ModuleType) -> Callable[..., Any]:  # noqa: ARG001  one form for all
    """Stand before `Cache.get` of DSPy: what its cache answers on one machine is missing in a cassette elsewhere."""

    @functools.wraps(real)
    def get(cache: Any, *args: Any, **options: Any) -> Any:
        return real(cache, *args, **options) if recorder_here() is None else None

    return get


def _apart(real: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that sends a request; the HTTP below it is not recorded again."""

    def send(*args: Any, **options: Any) -> Any:
        with past_recorder():
            return real(*args, **options)

    return send


def _async_apart(real: Callable[..., Any]) -> Callable[..., Any]:
    async def send(*args: Any, **options: Any) -> Any:
        with past_recorder():
            return await real(*args, **options)

    return send


def _is_replaced(transport: Any, name: str) -> bool:
    """Return whether a test has put something in the place of the connections below httpx, as respx does."""
    pool = vars(transport).get("_pool")
    handle = getattr(type(pool), name, None)
    return pool is not None and not str(getattr(handle, "__module__", "")).startswith("httpcore")


def _httpx_body(request: Any) -> Any:
    """Return the body of a request of httpx, if it is not a stream that can be read only once."""
    return vars(request).get("_content")


def netloc(host: str, port: int | None) -> str:
    """Return the part of a URL that names the server."""
    name = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return name if port is None else f"{name}:{port}"


def _as_bytes(body: Any) -> Any:
    """Return a body that can be read twice."""
    if body is None or isinstance(body, str | bytes | bytearray):
        return body
    if hasattr(body, "read"):
        read = body.read()
        return read.encode() if isinstance(read, str) else read
    return b"".join(part.encode() if isinstance(part, str) else part for part in body)


def _header_pairs(headers: Mapping[Any, Any]) -> Iterable[tuple[str, str]]:
    return [(_as_text(name), _as_text(value)) for name, value in headers.items()]


def _as_text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


async def _form_bytes(form: Any) -> bytes:
    payload = form()
    return payload if isinstance(payload, bytes) else await payload.as_bytes()
