"""DSPy itself, for tests that run it in their own process."""

import asyncio
from contextlib import contextmanager

import pytest

from dspex_core.errors.foreign_code import foreign_code


@contextmanager
def imported(folder):
    """Import DSPy, with a cache in a folder of the test's, not in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DSPY_CACHEDIR", str(folder))
        patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        asyncio.run(asyncio.sleep(0))  # or LiteLLM's sync calls make an event loop that nobody closes
        with foreign_code():
            library = pytest.importorskip("dspy")  # the lowest versions are tried without it
        yield library
    library.cache.disk_cache.close()  # or its SQLite connections warn when they are collected
