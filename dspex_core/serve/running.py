"""An HTTP server that ends in order: calls under way are answered, new ones refused. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.plain.counts import whole_number
from dspex_core.plain.display import value_text
from dspex_core.serve.guard import is_loopback
from dspex_core.serve.routes import app_of

try:
    with foreign_code():
        import uvicorn
except ImportError as error:
    raise ImportError('serving over HTTP needs uvicorn: pip install "pytest-dspex[serve]"') from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dspex_core.serve.service import Service

_WRITE_SECONDS = 10  # for the last responses, when all calls have ended
_BACKLOG = 2048
_LAST_PORT = 65_535


def check_access(host: str, *, token: str | None) -> None:
    """Refuse to serve others than this machine without a token.

    Raises:
        ConfigurationError: `host` can be reached from elsewhere, and there is no token.
    """
    if token is None and not is_loopback(host):
        raise ConfigurationError(
            f"{host!r} can be reached from other machines, and there is no token: name the environment variable that "
            "holds one with --token-env (token= in Python), or serve 127.0.0.1 alone"
        )


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        ConfigurationError: The address cannot be used, or is not one.
    """
    if not (isinstance(host, str) and host):
        raise ConfigurationError(
            f"the host must be a name or an address, such as '127.0.0.1', not {value_text(host, 200)}"
        )
    if whole_number("the port", port, least=0, why="0 takes any free one") > _LAST_PORT:
        raise ConfigurationError(f"the port must be at most {_LAST_PORT}, not {port!r}")
    try:
        kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(kind, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # without it, asyncio sends late
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        raise ConfigurationError(f"cannot listen on {host!r}, port {port}: {error}") from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """Uvicorn, which ends at SIGTERM or SIGINT when all calls have ended; a second signal ends it at once.

    Args:
        service: What it serves.
        on_started: Called when it answers.
    """

    def __init__(self, service: Service, on_started: Callable[[], None] = lambda: None) -> None:
        with foreign_code():
            config = uvicorn.Config(
                app_of(service),
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws="none",
                timeout_graceful_shutdown=_WRITE_SECONDS,
            )
        super().__init__(config)
        self._service = service
        self._on_started = on_started
        self._ending: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer.

        Raises:
            ServiceError: A program cannot be run.
        """
        await self._service.start()
        await super().startup(sockets)
        self._on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals; unlike uvicorn, do not raise them again at the end: the exit status is 0."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()

        def handle(*_: Any) -> None:
            loop.call_soon_threadsafe(self.begin_end)

        before = {each: signal.signal(each, handle) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def begin_end(self) -> None:
        """Refuse new calls, and end when those under way have ended; called again, end at once."""
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._drain())
        else:
            self.force_exit = self.should_exit = True

    async def _drain(self) -> None:
        await self._service.drain()
        self.should_exit = True


def run(service: Service, listener: socket.socket, on_started: Callable[[], None] = lambda: None) -> None:
    """Serve until a signal ends it."""
    with listener:
        Server(service, on_started).run([listener])
