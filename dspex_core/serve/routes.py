"""The FastAPI app of served programs. PYTEST_DONT_REWRITE

POST /programs/{name}         the inputs as a JSON object; the outputs as one
POST /programs/{name}/stream  the same, as server-sent events
GET  /programs                the programs with their schemas
GET  /health                  200 while the process lives
GET  /ready                   200 while calls are begun, else 503
GET  /metrics                 for Prometheus
GET  /openapi.json            the OpenAPI document
POST /mcp                     with `mcp=True`, the programs as tools
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from dspex_core.errors.foreign_code import foreign_code
from dspex_core.serve.bodies import read_inputs
from dspex_core.serve.connected import while_connected
from dspex_core.serve.events import EventStream
from dspex_core.serve.guard import NOTES, Guard
from dspex_core.serve.openapi import components, described, request_body, responses
from dspex_core.serve.refusals import RefusedError, json_bytes
from dspex_core.serve.tracing import request_span

try:
    with foreign_code():
        import fastapi
        from fastapi.openapi.utils import get_openapi
        from starlette.exceptions import HTTPException
        from starlette.responses import Response
except ImportError as error:
    raise ImportError('serving over HTTP needs FastAPI and uvicorn: pip install "pytest-dspex[serve]"') from error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from dspex_core.serve.guard import Receive, Scope, Send
    from dspex_core.serve.interface import JSONObject, OnChunk, ServedProgram
    from dspex_core.serve.service import Service

_PLAIN = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}  # newer FastAPI has its own


def app_of(service: Service) -> fastapi.FastAPI:
    """Return the app of a service; it starts the programs with its lifespan, or else with the first call."""

    @asynccontextmanager
    async def lifespan(_: fastapi.FastAPI) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.drain()

    telemetry: Any = _PLAIN
    made = fastapi.FastAPI(
        title="Programs",
        version=version("pytest-dspex"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        telemetry=telemetry,
    )
    made.add_middleware(Guard, service=service)
    made.add_exception_handler(HTTPException, _refuse)
    _State(service).add_to(made)
    for backend in service:
        _Routes(service, backend.program).add_to(made)
    if service.options.mcp:
        from dspex_core.serve.mcp import add_mcp  # optional

        add_mcp(made, service)
    vars(made)["openapi"] = _document(made, service)  # in the place of the method, as FastAPI's guide has it
    return made


class _State:
    """The routes that say how the service is."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def add_to(self, made: fastapi.FastAPI) -> None:
        """Add the routes to an app."""
        for path, function, summary, answer in (
            ("/health", self.health, "Whether the process lives", "It lives."),
            ("/ready", self.ready, "Whether calls are begun; else 503", "They are."),
            ("/metrics", self.metrics, "Metrics for Prometheus", "Text."),
            ("/programs", self.programs, "The programs with their schemas", "A JSON object."),
        ):
            known: Any = {200: {"description": answer}}
            made.add_api_route(
                path, function, summary=summary, responses=known, response_class=Response, tags=["state"]
            )

    async def health(self) -> Response:
        """Answer that the process lives."""
        return _json({"status": "ok"})

    async def ready(self) -> Response:
        """Answer whether calls are begun."""
        is_ready = self._service.ready()
        status = "draining" if self._service.is_draining else "ready" if is_ready else "not ready"
        return _json({"status": status}, 200 if is_ready else 503)

    async def metrics(self) -> Response:
        """Answer with the metrics."""
        text, headers = self._service.metrics.text()
        return Response(text, headers=dict(headers))

    async def programs(self) -> Response:
        """Answer with the programs."""
        return _json({"programs": [described(backend.program) for backend in self._service]})


class _Routes:
    """The routes of one program."""

    def __init__(self, service: Service, program: ServedProgram) -> None:
        self._service = service
        self._program = program

    def add_to(self, made: fastapi.FastAPI) -> None:
        program = self._program
        path = f"/programs/{program.name}"
        for route, function, streams in ((path, self.call, False), (f"{path}/stream", self.stream, True)):
            made.add_api_route(
                route,
                function,
                methods=["POST"],
                summary=f"Run {program.name}" + (" and stream its outputs" if streams else ""),
                description=program.description,
                operation_id=f"{program.name}_stream" if streams else program.name,
                response_model=None,
                response_class=Response,
                responses=responses(program, streams=streams),
                openapi_extra=request_body(program),
                tags=["programs"],
            )

    async def call(self, request: fastapi.Request) -> Response:
        """Answer with the outputs."""
        request.scope[NOTES].program = self._program.name
        inputs = await read_inputs(request, self._service.options.max_body)
        return _json(await while_connected(request.receive, self._run(request, inputs, None)))

    async def stream(self, request: fastapi.Request) -> Response:
        """Answer with events."""
        request.scope[NOTES].program = self._program.name
        inputs = await read_inputs(request, self._service.options.max_body)
        return _Streamed(EventStream(lambda on_chunk: self._run(request, inputs, on_chunk)))

    async def _run(self, request: fastapi.Request, inputs: JSONObject, on_chunk: OnChunk | None) -> JSONObject:
        known = {"method": request.method, "route": request.scope["route"].path, "program": self._program.name}
        with request_span(request.headers, known):
            return await self._service.call(self._program.name, inputs, on_chunk)


class _Streamed(Response):
    """A response that an ASGI app of ours sends."""

    def __init__(self, events: EventStream) -> None:
        super().__init__()
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._events(scope, receive, send)


def _json(data: Any, status: int = 200) -> Response:
    return Response(json_bytes(data), status, media_type="application/json")


async def _refuse(request: fastapi.Request, error: Exception) -> Response:
    """Let the guard answer for FastAPI, so that all errors have one form."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 404:  # noqa: PLR2004  HTTP's
        raise RefusedError("there is nothing at this path; GET /openapi.json lists what there is", http_status=404)
    if error.status_code == 405:  # noqa: PLR2004  HTTP's
        allowed = dict(error.headers or {})
        message = f"{request.method} is not a method of this path; use {allowed.get('Allow', 'another')}"
        raise RefusedError(message, http_status=405, headers={"allow": allowed.get("Allow", "")})
    raise RefusedError(str(error.detail), http_status=error.status_code)


def _document(made: fastapi.FastAPI, service: Service) -> Callable[[], dict[str, Any]]:
    def document() -> dict[str, Any]:
        if made.openapi_schema is None:
            found = get_openapi(title=made.title, version=made.version, routes=made.routes)
            found["components"] = {"schemas": components(backend.program for backend in service)}
            if service.options.token is not None:
                found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
                found["security"] = [{"token": []}]
            made.openapi_schema = found
        document: dict[str, Any] = made.openapi_schema
        return document

    return document
