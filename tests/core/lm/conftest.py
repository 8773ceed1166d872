"""A fresh server, and nothing of the machine's user nor of this test run, for every test here."""

import asyncio
import os

import pytest
from openai_server import OpenAIServer

from dspex_core.config import context, settings


@pytest.fixture
def server():
    with OpenAIServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_API_BASE", "_BASE_URL")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("DSPEX_LM_ENGINE", raising=False)
    monkeypatch.delenv("DSPEX_REPLAY", raising=False)  # processes that tests start ask their servers, too
    monkeypatch.setenv("DSPEX_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def _no_cassette():
    undo = settings.install_recorder(None, replay_only=False)  # in all threads
    with context(recorder=None, replay_only=False):
        yield
    undo()


@pytest.fixture(scope="session", autouse=True)
def _no_loop_left_open():
    """Keep asyncio from making an event loop that nobody closes when LiteLLM's sync calls ask for the current one.

    It does so for a main thread that has never had one.
    """
    asyncio.run(asyncio.sleep(0))
