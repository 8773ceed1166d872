"""Programs behind one limit of concurrent calls, one timeout and one orderly end. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.errors import BusyError, ConfigurationError, DSPexError, ShuttingDownError
from dspex_core.plain.counts import seconds, whole_number
from dspex_core.plain.display import value_text
from dspex_core.plain.secrets import masked
from dspex_core.serve.interface import Backend, Counted, service_error
from dspex_core.serve.metrics import ServiceMetrics
from dspex_core.serve.refusals import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dspex_core.serve.interface import JSONObject, OnChunk

_log = logging.getLogger("dspex.serve")
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """The limits of a service, and who may use it.

    Args:
        timeout: After how many seconds a call is stopped.
        concurrency: How many calls run at once in all; others are refused at once, not queued.
        max_body: How many bytes a request's body may have.
        drain: How many seconds the end of the service waits for calls under way.
        token: What callers must send as `Authorization: Bearer ...`; `None` for no check. It is never shown.
        hosts: The names by which callers may reach the service, or `"*"`. Names of this machine always may. `None`:
            where a request arrives on a loopback address, only these, so that no web page can reach it by DNS tricks.
        mcp: Whether the programs are tools of the Model Context Protocol at `/mcp`, too.
    """

    timeout: float = 60.0
    concurrency: int = 64
    max_body: int = 1_000_000
    drain: float = 30.0
    token: str | None = None
    hosts: tuple[str, ...] | None = None
    mcp: bool = False

    def __post_init__(self) -> None:
        for name, value in (("timeout", self.timeout), ("drain", self.drain)):
            seconds(f"`{name}` of a service", value)
        for name, count in (("concurrency", self.concurrency), ("max_body", self.max_body)):
            whole_number(f"`{name}` of a service", count)
        if not isinstance(self.mcp, bool):
            raise ConfigurationError(f"`mcp` of a service must be True or False, not {value_text(self.mcp, 200)}")
        if self.token is not None and not _is_token(self.token):
            raise ConfigurationError("the token of a service must be printable ASCII without spaces, and not be empty")
        if self.hosts is not None and not (isinstance(self.hosts, tuple) and all(map(_is_text, self.hosts))):
            raise ConfigurationError(f"`hosts` of a service must be a list of names, not {self.hosts!r}")

    def __repr__(self) -> str:
        return f"ServiceOptions(timeout={self.timeout!r}, concurrency={self.concurrency!r}, max_body={self.max_body!r})"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_token(value: Any) -> bool:
    """Return whether callers can send it in a header."""
    return isinstance(value, str) and value.isascii() and value.isprintable() and value.split() == [value]


class Service:
    """The programs of one service by name.

    Args:
        backends: One for each program.
        options: The limits.
    """

    def __init__(self, backends: Sequence[Backend], options: ServiceOptions) -> None:
        wrong = next((each for each in backends if not isinstance(each, Backend)), None)
        if wrong is not None:
            raise ConfigurationError(
                f"a service takes backends, such as in_process(program) makes, not {value_text(wrong, 200)}"
            )
        if not isinstance(options, ServiceOptions):
            raise ConfigurationError(
                f"the options of a service must be `ServiceOptions(...)`, not {value_text(options, 200)}"
            )
        self.options = options
        self.metrics = ServiceMetrics()
        self._backends: Mapping[str, Backend] = {backend.program.name: backend for backend in backends}
        self._running = 0
        self._draining = False
        self._start: asyncio.Task[None] | None = None
        self._end: asyncio.Task[None] | None = None
        for backend in backends:
            if isinstance(backend, Counted):
                self.metrics.watch(backend.program.name, backend.counts)
        if not backends:
            raise ConfigurationError("a service needs a program to serve")
        if len(self._backends) < len(backends):
            names = ", ".join(repr(backend.program.name) for backend in backends)
            raise ConfigurationError(
                f"two programs of a service have the same name: {names}; give them others by name="
            )

    def __iter__(self) -> Iterator[Backend]:
        return iter(self._backends.values())

    async def start(self) -> None:
        """Start the programs once, also where many ask for it at the same time.

        Raises:
            LMNotConfiguredError: One of them needs a model, and has none.
            ServiceError: One of them cannot be run.
        """
        await asyncio.shield(self._starting())

    def _starting(self) -> asyncio.Task[None]:
        """Return the start under way, or the one that has succeeded; a failed one is tried anew."""
        found = self._start
        if found is None or (found.done() and (found.cancelled() or found.exception())):
            found = self._start = asyncio.create_task(self._start_all())
        return found

    async def _start_all(self) -> None:
        await asyncio.gather(*(backend.start() for backend in self))

    @property
    def is_draining(self) -> bool:
        """Whether it ends."""
        return self._draining

    def ready(self) -> bool:
        """Return whether calls of all programs would be begun. If nothing was started yet, start now."""
        start = self._starting()  # an app that is mounted in another one has no lifespan of its own
        is_started = start.done() and not start.cancelled() and not start.exception()
        return is_started and not self._draining and all(backend.ready() for backend in self)

    async def call(self, name: str, inputs: JSONObject, on_chunk: OnChunk | None = None) -> JSONObject:
        """Run a program.

        Raises:
            BusyError: Too many calls are under way; it was not begun.
            ServiceError: It has no outputs, or there is no program of this name.
        """
        backend = self._backend(name)
        if self._draining:
            raise ShuttingDownError("the service ends: send the request again, to another instance")
        if self._running >= self.options.concurrency:
            message = f"{self._running} calls are under way, which is the limit: try again in {_RETRY_SECONDS:g} s"
            raise BusyError(message, retry_after=_RETRY_SECONDS)
        self._running += 1
        self.metrics.began(name)
        began = time.perf_counter()
        try:
            await self._started()
            return await backend.call(inputs, timeout=self.options.timeout, on_chunk=on_chunk)
        finally:
            self._running -= 1
            self.metrics.ended(name, time.perf_counter() - began)

    def _backend(self, name: str) -> Backend:
        found = self._backends.get(name) if isinstance(name, str) else None
        if found is None:
            known = ", ".join(map(repr, self._backends))
            raise RefusedError(f"there is no program {value_text(name, 200)}; there are: {known}", http_status=404)
        return found

    async def _started(self) -> None:
        """Start for a call, whose caller must not read what is for the operator."""
        try:
            await self.start()
        except DSPexError as error:
            found = service_error(error)
            if found is not error:
                _log.error("the service cannot start: %s", masked(str(error)))
            raise found from None

    async def drain(self) -> None:
        """Begin no further call, and end after those under way."""
        self._draining = True
        if self._end is None:
            self._end = asyncio.create_task(self._drain_all())
        await asyncio.shield(self._end)

    async def _drain_all(self) -> None:
        await asyncio.gather(*(backend.drain(self.options.drain) for backend in self))
