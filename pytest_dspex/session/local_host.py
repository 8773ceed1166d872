"""The embedded LM that xdist's workers share. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import threading
from socketserver import StreamRequestHandler, TCPServer
from typing import TYPE_CHECKING, Any

from dspex_core import DSPexError
from dspex_core.plugin_api import BUILT_IN, serve
from pytest_dspex.session.live import HOST_KEY, visible

if TYPE_CHECKING:
    import pytest


class LocalHost:
    """Shares one embedded LM among xdist's workers: the controller starts it at the first worker's request."""

    def __init__(self, config: pytest.Config) -> None:
        self._server = _Server(("127.0.0.1", 0), _Answer)
        self._server.config = config
        threading.Thread(target=self._server.serve_forever, name="dspex-local-host", daemon=True).start()

    def brief(self, workerinput: dict[str, Any]) -> None:
        """Put the host's port into a worker's input."""
        workerinput[HOST_KEY] = self._server.server_address[1]

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
