"""What all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["pytester"]

# The same examples in every run, and no deadline: CI machines stall now and then. `nox -s tests` takes more of them.
EXAMPLES = int(os.environ.get("DSPEX_EXAMPLES", "60"))
settings.register_profile("dspex", deadline=None, derandomize=True, max_examples=EXAMPLES)
settings.load_profile("dspex")


@pytest.fixture(autouse=True)
def _quick_sessions(request, monkeypatch):
    """Keep out of sessions in processes of their own what takes most of the time that they need to start."""
    if "pytester" in request.fixturenames:
        request.getfixturevalue("pytester")  # which forgets the options that it finds
    monkeypatch.setenv("PYTEST_ADDOPTS", "-pno:langsmith_plugin")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Begin with the files of this folder, which have the longest tests: else one worker waits at the end."""
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.parent != here)  # stable
