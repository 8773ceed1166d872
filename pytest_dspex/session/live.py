"""The LM of sessions that call a real LM: when it is connected. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import os
import socket
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, NoReturn

import pytest

from dspex_core import LMNotConfiguredError
from pytest_dspex.collecting.problems import send_to_controller
from pytest_dspex.options import is_worker
from pytest_dspex.reports.shown import shown

if TYPE_CHECKING:
    from dspex_core import LM, DSPexError

HOST_KEY = "dspex_local_host"  # of the port in a worker's input, at which the controller shares the built-in LM
_NOT_CONNECTED = pytest.StashKey[dict[str, "LM"]]()  # by the fixture


def make_ready(config: pytest.Config, lm: LM) -> None:
    """Connect the LM of the session; the progress of a download is shown on the terminal.

    If the LM is not set up, the session ends with a usage error, as no test could run with it.
    """
    try:
        if is_worker(config):
            _use_host(config, lm)
        with visible(config):
            lm.connect()
    except LMNotConfiguredError as error:
        refuse(config, error)


def _use_host(config: pytest.Config, lm: LM) -> None:
    """Have the built-in LM of a worker be that of the controller, which starts it at the first request."""
    from dspex_core.plugin_api import BUILT_IN, SERVER_VARIABLE  # imports asyncio

    if lm.model == f"local/{BUILT_IN}" and SERVER_VARIABLE not in os.environ:
        os.environ[SERVER_VARIABLE] = _ask_host(config.workerinput[HOST_KEY])  # type: ignore[attr-defined]  # xdist's


def _ask_host(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile() as reply:
        answer = json.load(reply)
    if "error" in answer:
        raise LMNotConfiguredError(answer["error"])
    return str(answer["address"])


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


def visible(config: pytest.Config) -> AbstractContextManager[None]:
    """Suspend pytest's capturing, so that text on stderr is shown at once."""
    capture = config.pluginmanager.getplugin("capturemanager")
    return capture.global_and_fixture_disabled() if capture else nullcontext()
