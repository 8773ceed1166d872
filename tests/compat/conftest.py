"""Real DSPy beside ours."""

import importlib

import pytest
import real_dspy

import dspex_core
from dspex_core.errors.foreign_code import foreign_code


def pytest_collection_modifyitems(items):
    """Let threads of DSPy's own end as they will: those of its streams raise where nobody reads to the end."""
    here = [item for item in items if "/compat/" in item.path.as_posix()]
    for item in here:
        item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"))


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    """Import DSPy, and have LiteLLM make its first call, at which it imports more."""
    with real_dspy.imported(tmp_path_factory.mktemp("dspy-cache")) as library:
        with foreign_code():  # or its warnings about its own types are errors
            litellm = importlib.import_module("litellm")
            litellm.completion("openai/any", [{"role": "user", "content": "hi"}], mock_response="hello")
        yield library


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
