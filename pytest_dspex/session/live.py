"""What only sessions with a real LM need. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import AbstractContextManager, nullcontext
from socketserver import StreamRequestHandler, TCPServer
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from dspex_core import DSPexError, LMNotConfiguredError
from dspex_core.plugin_api import BUILT_IN, SERVER_VARIABLE, serve
from pytest_dspex.collecting.problems import tell_controller
from pytest_dspex.options import is_worker
from pytest_dspex.reports.shown import shown

if TYPE_CHECKING:
    from dspex_core import LM, ResponseCache

_CACHE = pytest.StashKey["ResponseCache"]()
_HOST_KEY = "dspex_local_host"


def session_cache(config: pytest.Config) -> ResponseCache:
    """Return a cache of this session's own: equal calls are made once, and the LM really is asked."""
    from dspex_core import ResponseCache

    if _CACHE not in config.stash:
        config.stash[_CACHE] = ResponseCache()
    return config.stash[_CACHE]


def make_ready(config: pytest.Config, lm: LM) -> None:
    """Connect the LM that the session is going to ask, with the one-time download in the user's sight.

    An LM that is not set up is a mistake in the configuration: no test can run with it.
    """
    try:
        if lm.model == f"local/{BUILT_IN}" and is_worker(config) and SERVER_VARIABLE not in os.environ:
            os.environ[SERVER_VARIABLE] = _ask_host(config.workerinput[_HOST_KEY])  # type: ignore[attr-defined]  # xdist's
        with visible(config):
            lm.connect()
    except LMNotConfiguredError as error:
        refuse(config, error)


def refuse(config: pytest.Config, error: LMNotConfiguredError) -> NoReturn:
    """End the session as one that is configured wrongly; a worker lets its controller know, and fails the test."""
    if is_worker(config):
        tell_controller(config, str(error))
        raise error
    pytest.exit(shown(str(error)), returncode=pytest.ExitCode.USAGE_ERROR)


class LocalHost:
    """Lets one embedded LM serve all of xdist's workers: the controller starts it when the first one asks."""

    def __init__(self, config: pytest.Config) -> None:
        self._server = _Server(("127.0.0.1", 0), _Answer)
        self._server.config = config
        threading.Thread(target=self._server.serve_forever, name="dspex-local-host", daemon=True).start()

    def brief(self, workerinput: dict[str, Any]) -> None:
        """Tell a worker where to ask."""
        workerinput[_HOST_KEY] = self._server.server_address[1]

    def close(self) -> None:
        """Answer no more; the LM itself ends with the process."""
        self._server.shutdown()
        self._server.server_close()


class _Server(TCPServer):
    config: pytest.Config


class _Answer(StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Say where the LM listens, or why it does not."""
        try:
            with visible(self.server.config):
                answer = {"address": serve(BUILT_IN)}
        except DSPexError as error:
            answer = {"error": str(error)}
        self.wfile.write(json.dumps(answer).encode())


def _ask_host(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile() as reply:
        answer = json.load(reply)
    if "error" in answer:
        raise LMNotConfiguredError(answer["error"])
    return str(answer["address"])


def visible(config: pytest.Config) -> AbstractContextManager[None]:
    """Let what is written to stderr be seen although pytest captures the test's output."""
    capture = config.pluginmanager.getplugin("capturemanager")
    return capture.global_and_fixture_disabled() if capture else nullcontext()
