"""The LM, its cache and its server in sessions that call a real LM. PYTEST_DONT_REWRITE"""

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
from pytest_dspex.collecting.problems import send_to_controller
from pytest_dspex.options import is_worker
from pytest_dspex.reports.shown import shown

if TYPE_CHECKING:
    from dspex_core import LM

_NOT_CONNECTED = pytest.StashKey[dict[str, "LM"]]()  # by the fixture
_HOST_KEY = "dspex_local_host"


def make_ready(config: pytest.Config, lm: LM) -> None:
    """Connect the LM of the session; the progress of a download is shown on the terminal.

    If the LM is not set up, the session ends with a usage error, as no test could run with it.
    """
    try:
        if lm.model == f"local/{BUILT_IN}" and is_worker(config) and SERVER_VARIABLE not in os.environ:
            os.environ[SERVER_VARIABLE] = _ask_host(config.workerinput[_HOST_KEY])  # type: ignore[attr-defined]  # xdist's
        with visible(config):
            lm.connect()
    except LMNotConfiguredError as error:
        refuse(config, error)


def needed_later(config: pytest.Config, lm: LM, *, fixture: str = "lm") -> None:
    """Note an LM of the session, which the first test that surely calls it connects."""
    config.stash.setdefault(_NOT_CONNECTED, {})[fixture] = lm


def is_needed(config: pytest.Config, fixture: str = "lm") -> bool:
    """Return whether the LM of a fixture waits for the first test that surely calls it."""
    return fixture in config.stash.get(_NOT_CONNECTED, {})


def connect_needed(config: pytest.Config, fixture: str = "lm") -> None:
    """Connect the LM of a fixture, which `is_needed`."""
    make_ready(config, config.stash[_NOT_CONNECTED].pop(fixture))


def refuse(config: pytest.Config, error: DSPexError) -> NoReturn:
    """End the session with a usage error; a worker sends the error to its controller and fails the test."""
    if is_worker(config):
        send_to_controller(config, str(error))
        raise error
    pytest.exit(shown(str(error)), returncode=pytest.ExitCode.USAGE_ERROR)


class LocalHost:
    """Shares one embedded LM among xdist's workers: the controller starts it at the first worker's request."""

    def __init__(self, config: pytest.Config) -> None:
        self._server = _Server(("127.0.0.1", 0), _Answer)
        self._server.config = config
        threading.Thread(target=self._server.serve_forever, name="dspex-local-host", daemon=True).start()

    def brief(self, workerinput: dict[str, Any]) -> None:
        """Put the host's port into a worker's input."""
        workerinput[_HOST_KEY] = self._server.server_address[1]

    def close(self) -> None:
        """Stop the host; the LM itself ends with the process."""
        self._server.shutdown()
        self._server.server_close()


class _Server(TCPServer):
    config: pytest.Config


class _Answer(StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Send the LM's address, or the error with which it did not start."""
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
    """Suspend pytest's capturing, so that text on stderr is shown at once."""
    capture = config.pluginmanager.getplugin("capturemanager")
    return capture.global_and_fixture_disabled() if capture else nullcontext()
