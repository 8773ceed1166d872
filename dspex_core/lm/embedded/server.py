"""The embedded LM: llama.cpp servers inside this process, behind one loopback address. PYTEST_DONT_REWRITE

The first call that needs a model starts its first server; calls that wait start more, one for each
core that the process may use. All end with the process, however that ends.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dspex_core.errors import ConfigurationError, LMNotConfiguredError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.errors.optional import optional
from dspex_core.lm.embedded.router import Router
from dspex_core.lm.embedded.weights import find_weights

if TYPE_CHECKING:
    from types import ModuleType

BUILT_IN = "smollm2-135m-instruct"
SERVER_VARIABLE = "DSPEX_LOCAL_SERVER"
SERVERS_VARIABLE = "DSPEX_LOCAL_SERVERS"
THREADS_VARIABLE = "DSPEX_LOCAL_THREADS"

_HOST = "127.0.0.1"
_CONTEXT_TOKENS = 4096
_SILENT = -1

# llama.cpp computes attention another way above 63 tokens at a time, with results that differ
# enough to change answers. Below that, a prompt whose beginning is reused from an earlier call
# gets, to the last bit, what it gets when computed whole: answers at temperature 0 do not depend
# on which calls came before. It costs no time, and a call that nobody waits for any more ends
# after at most this many tokens.
_BATCH_TOKENS = 32

# The beginnings of earlier prompts, kept beside the one in use. Unset, they may take 8 GB.
_PROMPT_CACHE_MIB = 256

# The router sends one call at a time, and questions about the model beside it.
_HTTP_THREADS = 4


def serve(model: str) -> str:
    """Return the base URL of a model, whose first server is started if this process does not have it yet.

    `model` is what follows `local/`: the built-in `smollm2-135m-instruct`, or the absolute path
    of a .gguf file. `DSPEX_LOCAL_SERVER`, when set, is the URL of the built-in model that runs
    already: that of pytest-xdist's controller, in its workers. `DSPEX_LOCAL_SERVERS` says how many
    servers a model may have; else there are as many as the process may use cores, each with
    `DSPEX_LOCAL_THREADS` threads (1). The first call may take long (loading a model; fetching the
    built-in's weights) and blocks the thread.

    Raises:
        LMNotConfiguredError: The model is unknown, or llama.cpp or the weights are missing.
        ConfigurationError: One of the variables does not hold a positive number.
    """
    shared = os.environ.get(SERVER_VARIABLE)
    if shared and model == BUILT_IN:
        return shared
    return _pools.address(model)


class _Pools:
    """The models that run in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pools: dict[str, _Pool] = {}

    def address(self, model: str) -> str:
        """Return the base URL of a model; callers at the same time wait for one start."""
        with self._lock:
            if model not in self._pools:
                pool = _Pool(_llama(), model, _weights(model))
                pool.begin()
                if not self._pools:
                    atexit.register(self._stop)
                    os.register_at_fork(after_in_child=self._after_fork)
                self._pools[model] = pool
            return self._pools[model].address

    def _stop(self) -> None:
        # Addresses stay known, so that daemon threads get refused instead of starting servers.
        for pool in self._pools.values():
            pool.end()

    def _after_fork(self) -> None:
        """In a forked child, go on asking the parent's servers, and leave them alone."""
        atexit.unregister(self._stop)
        self._lock = threading.Lock()
        # Their threads are the parent's: to destroy what they use here would wait for them for ever. So the
        # child keeps the servers' objects, and ends before the destructors of llama.cpp's own globals.
        for server in (server for pool in self._pools.values() for server in pool.servers):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(server))
        libc = ctypes.CDLL(None)
        if hasattr(libc, "on_exit"):  # glibc's: what is registered last runs first, and gets the exit status
            libc.on_exit(libc._exit, None)  # noqa: SLF001  a C function of that name


@dataclass(slots=True)
class _Pool:
    """The servers of one model, and the router in front of them."""

    llama: Any
    model: str
    weights: Path
    servers: list[Any] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    router: Router | None = None
    address: str = ""

    def begin(self) -> None:
        """Start the first server and the router."""
        limit = _number(SERVERS_VARIABLE) or max(1, _cores() // (_number(THREADS_VARIABLE) or 1))
        self.router = Router(self.start(), start=self.start, limit=limit)
        self.address = f"{self.router.address}/v1"

    def start(self) -> str:
        """Start one more server and return where it listens."""
        server = _load(self.llama, self.model, self.weights)
        with self.lock:
            self.servers.append(server)
        return str(server.listening_address)

    def end(self) -> None:
        """End the servers, and with them the calls that they still work on."""
        assert self.router is not None
        self.router.close()
        with self.lock:
            while self.servers:
                server = self.servers.pop()
                _break_connections(urlsplit(server.listening_address).port)
                del server  # stops it


_pools = _Pools()


def _llama() -> ModuleType:
    try:
        with foreign_code():
            import xllamacpp  # optional, and 100 MB
    except ImportError as error:
        message = 'the embedded LM needs llama.cpp: pip install "pytest-dspex[local]"'
        raise LMNotConfiguredError(message, provider="local") from error
    return xllamacpp  # type: ignore[no-any-return]  # it ships no type information


def _weights(model: str) -> Path:
    if model == BUILT_IN:
        return find_weights()
    path = Path(model)
    if not path.is_absolute():
        message = f"unknown local model {model!r}; use 'local/{BUILT_IN}' or 'local//path/to/any.gguf'"
        raise LMNotConfiguredError(message, provider="local")
    if not path.is_file():
        message = f"there is no file {model!r}; write the absolute path of a .gguf file after 'local/'"
        raise LMNotConfiguredError(message, provider="local")
    return path


def _load(llama: Any, model: str, weights: Path) -> Any:
    params = llama.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {model}  # the model's name in replies
    params.hostnames = [_HOST]
    params.port = 0  # a free one
    params.cors_origins = ""  # web pages may not read from it
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = _SILENT
    # One: with other busy threads around, two take many times as long, as each waits for the other at every layer.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = _number(THREADS_VARIABLE) or 1
    params.n_threads_http = _HTTP_THREADS
    # More calls at once in one server gain nothing, take a context of 95 MB each, and each
    # reads anew the beginning that all prompts share.
    params.n_parallel = 1
    params.n_ctx = _CONTEXT_TOKENS
    params.n_batch = params.n_ubatch = _BATCH_TOKENS
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    try:
        with foreign_code():
            return llama.Server(params)
    except RuntimeError as error:
        message = f"llama.cpp could not load {str(weights)!r}; is it a whole .gguf file, and is there memory for it?"
        raise LMNotConfiguredError(message, provider="local") from error


def _number(variable: str) -> int | None:
    given = os.environ.get(variable)
    if given is None:
        return None
    if not given.isdecimal() or int(given) == 0:
        message = f"{variable} must be a whole number, 1 or more, not {given!r}"
        raise ConfigurationError(message)
    return int(given)


def _cores() -> int:
    """Return how many cores this process may use, by its affinity and its control group."""
    joblib = optional("joblib", "the embedded LM needs joblib", extra="local")  # 0.3 s, and a server's start takes more
    with foreign_code():
        return int(joblib.cpu_count())


def _break_connections(port: int | None) -> None:
    """Break the connections to a server of this process, which cancels their calls.

    Otherwise stopping it would wait for calls of daemon threads: minutes for a long generation.
    """
    descriptors = Path("/dev/fd")
    for descriptor in descriptors.iterdir() if descriptors.is_dir() else ():
        with contextlib.suppress(OSError):  # not a socket, or closed meanwhile
            connection = socket.socket(fileno=int(descriptor.name))
            try:
                if connection.getsockname()[:2] == (_HOST, port) and connection.getpeername():
                    connection.shutdown(socket.SHUT_RDWR)
            finally:
                connection.detach()  # the server is its owner, and closes it
