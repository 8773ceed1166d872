"""Keep-alive connections for async requests, by aiohttp. PYTEST_DONT_REWRITE

aiohttp takes many milliseconds to import, so this module is imported by the first async call.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dspex_core.errors.foreign_code import foreign_code

with foreign_code():
    import aiohttp
    from urllib3.util import wait_for_read

from dspex_core.flow.coroutines import begun
from dspex_core.lm.engines.per_loop import PerLoop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

    from aiohttp.connector import Connection

FAILURES = (aiohttp.ClientError, UnicodeError)  # of a request; the second is about a host's name
_POOL_SIZE = 1024  # as for sync requests


@dataclass(slots=True)
class Reuse:
    """Whether the connection of a request had been used before."""

    reused: bool = False


# The request that looks for a connection. aiohttp's own tracing says it, too, but emits four other events with each
# request, which take a tenth of its time.
in_use: ContextVar[Reuse | None] = ContextVar("dspex_request", default=None)


class _Connector(aiohttp.TCPConnector):
    """Discards idle connections on which unrequested data or the end has arrived."""

    async def _get(self, *args: Any, **kwargs: Any) -> Connection | None:
        while (connection := await super()._get(*args, **kwargs)) is not None:
            protocol, transport = connection.protocol, connection.transport
            found: Any = transport.get_extra_info("socket") if transport is not None else None
            is_clean = protocol is not None and not protocol.should_close and found is not None
            if is_clean and not wait_for_read(found, timeout=0.0):
                if (request := in_use.get()) is not None:
                    request.reused = True
                return connection
            connection.close()
        return None


class _Request(aiohttp.ClientRequest):
    """Sends itself at once, as aiohttp's own does with Python 3.12 or newer.

    Before, aiohttp writes a request in a task, which begins when the event loop has been through all that is ready:
    replies that come in together would be followed by requests that go out together, with all work between.
    """

    def write_bytes(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, None]:
        return begun(super().write_bytes(*args, **kwargs))


_REQUEST = _Request if sys.version_info < (3, 12) else aiohttp.ClientRequest


async def _session() -> AsyncGenerator[aiohttp.ClientSession, None]:
    async with aiohttp.ClientSession(
        connector=_Connector(limit=_POOL_SIZE),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        request_class=_REQUEST,
    ) as session:
        yield session


sessions = PerLoop(_session)


@lru_cache(maxsize=16)
def client_timeout(seconds: float) -> aiohttp.ClientTimeout:
    """Return a limit on a whole request."""
    return aiohttp.ClientTimeout(total=seconds)
