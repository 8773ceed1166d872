"""The LM that the projects call."""

from importlib import import_module

import pytest
from http_projects import said
from openai_server import OpenAIServer

# pytester forgets what a session in this process has imported, and these take seconds to load.
for name in ("aiohttp", "httpx", "httpx2", "openai", "requests", "urllib3", "vcr.stubs.aiohttp_stubs"):
    import_module(name)


@pytest.fixture
def server(monkeypatch):
    with OpenAIServer(script=said) as running:
        monkeypatch.setenv("TESTED_URL", running.base_url)
        yield running
