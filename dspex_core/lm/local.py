"""The embedded LM: a llama.cpp server inside this process, on a loopback port. PYTEST_DONT_REWRITE

It is started by the first call that needs it and ends with the process, however that ends.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dspex_core.errors import ConfigurationError, LMNotConfiguredError
from dspex_core.lm.weights import find_weights

if TYPE_CHECKING:
    from types import ModuleType

BUILT_IN = "smollm2-135m-instruct"
SERVER_VARIABLE = "DSPEX_LOCAL_SERVER"
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

# A kept-alive connection holds its thread. With fewer threads than connections, some callers
# wait until others have no more to ask.
_HTTP_THREADS = 64


def serve(model: str) -> str:
    """Return the base URL of the server of a model, started if this process does not have it yet.

    `model` is what follows `local/`: the built-in `smollm2-135m-instruct`, or the absolute path
    of a .gguf file. `DSPEX_LOCAL_SERVER`, when set, is the URL of a server of the built-in model
    that runs already: that of pytest-xdist's controller, in its workers. The first call may take
    long (loading a model; fetching the built-in's weights) and blocks the thread.

    Raises:
        LMNotConfiguredError: There is no such model, or llama.cpp or the weights are missing.
        ConfigurationError: `DSPEX_LOCAL_THREADS` is not a number of threads.
    """
    shared = os.environ.get(SERVER_VARIABLE)
    if shared and model == BUILT_IN:
        return shared
    return _servers.address(model)


class _Servers:
    """The servers that run in this process, one for each model."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._addresses: dict[str, str] = {}
        self._running: list[Any] = []

    def address(self, model: str) -> str:
        """Return the base URL of a model's server; callers at the same time wait for one start."""
        with self._lock:
            if model not in self._addresses:
                self._addresses[model] = self._start(model)
            return self._addresses[model]

    def _start(self, model: str) -> str:
        llama = _llama()
        server = _load(llama, model, _weights(model))
        if not self._running:
            atexit.register(self._stop)
        self._running.append(server)
        return f"{server.listening_address}/v1"

    def _stop(self) -> None:
        # Addresses stay known: a daemon thread that still asks finds nobody there, and starts nothing.
        while self._running:
            server = self._running.pop()
            _hang_up(urlsplit(server.listening_address).port)
            del server  # stops it


_servers = _Servers()


def _llama() -> ModuleType:
    try:
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
        message = f"there is no local model {model!r}; there are: 'local/{BUILT_IN}' and 'local//path/to/any.gguf'"
        raise LMNotConfiguredError(message, provider="local")
    if not path.is_file():
        message = f"there is no file {model!r}; write the absolute path of a .gguf file after 'local/'"
        raise LMNotConfiguredError(message, provider="local")
    return path


def _load(llama: Any, model: str, weights: Path) -> Any:
    params = llama.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {model}  # what replies call it
    params.hostnames = [_HOST]
    params.port = 0  # a free one
    params.cors_origins = ""  # no web page may read from it
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = _SILENT
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = _threads()
    params.n_threads_http = _HTTP_THREADS
    # More calls at once would share the memory bandwidth that one fills, take a context of 95 MB each, and each
    # read anew the beginning that all prompts share.
    params.n_parallel = 1
    params.n_ctx = _CONTEXT_TOKENS
    params.n_batch = params.n_ubatch = _BATCH_TOKENS
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    try:
        return llama.Server(params)
    except RuntimeError as error:
        message = f"llama.cpp could not load {str(weights)!r}; is it a whole .gguf file, and is there memory for it?"
        raise LMNotConfiguredError(message, provider="local") from error


def _threads() -> int:
    # One: beside other busy processes two take many times as long, as each waits for the other at every layer.
    given = os.environ.get(THREADS_VARIABLE, "1")
    if not given.isdecimal() or int(given) == 0:
        message = f"{THREADS_VARIABLE} must be a number of threads, 1 or more, not {given!r}"
        raise ConfigurationError(message)
    return int(given)


def _hang_up(port: int | None) -> None:
    """Break the connections to a server of this process, whereupon it drops the calls they wait for.

    Stopping it waits for each call that daemon threads have left behind: for a long generation, minutes.
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
