"""Real DSPy beside ours."""

import asyncio
import importlib

import pytest

import dspex_core
from dspex_core.errors.foreign_code import foreign_code


def pytest_collection_modifyitems(items):
    """Let threads of DSPy's own end as they will: those of its streams raise where nobody reads to the end."""
    here = [item for item in items if "/compat/" in item.path.as_posix()]
    for item in here:
        item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"))


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    """Import DSPy; its import makes a cache folder, which is not to be the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DSPY_CACHEDIR", str(tmp_path_factory.mktemp("dspy-cache")))
        patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        asyncio.run(asyncio.sleep(0))  # or LiteLLM's sync calls make an event loop that nobody closes
        with foreign_code():
            library = importlib.import_module("dspy")
            # LiteLLM imports some of its modules at the first call, where warnings about its own types are errors.
            litellm = importlib.import_module("litellm")
            litellm.completion("openai/any", [{"role": "user", "content": "hi"}], mock_response="hello")
        yield library
    library.cache.disk_cache.close()  # or its SQLite connections warn when they are collected


@pytest.fixture
def ours():
    return dspex_core


@pytest.fixture(autouse=True)
def live():
    """Let all calls pass the session's cassettes: they go to servers of the tests' own, from threads of DSPy's, too."""
    undo = dspex_core.settings.install_recorder(None, replay_only=False)
    with dspex_core.context(recorder=None, replay_only=False):
        yield
    undo()
