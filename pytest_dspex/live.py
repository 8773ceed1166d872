"""What only sessions with a real LM need. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import pytest

from pytest_dspex.options import OPTIONS

if TYPE_CHECKING:
    from dspex_core.lm.cache import ResponseCache

_CACHE = pytest.StashKey["ResponseCache"]()
_PREFIX = "local/"


def session_cache(config: pytest.Config) -> ResponseCache:
    """Return a cache of this session's own: equal calls are made once, and the LM really is asked."""
    from dspex_core.lm.cache import ResponseCache

    if _CACHE not in config.stash:
        config.stash[_CACHE] = ResponseCache()
    return config.stash[_CACHE]


def start_local(config: pytest.Config, model: str) -> None:
    """Start the embedded LM if this session will ask it, with its one-time download in the user's sight."""
    if model.startswith(_PREFIX) and config.stash[OPTIONS].asks:
        from dspex_core.lm.local import serve

        with visible(config):
            serve(model.removeprefix(_PREFIX))


def share_local(config: pytest.Config) -> None:
    """Start the embedded LM on xdist's controller, for the workers that it starts next."""
    from dspex_core.lm.local import SERVER_VARIABLE, serve

    model = config.stash[OPTIONS].lm
    if model.startswith(_PREFIX) and config.stash[OPTIONS].asks and SERVER_VARIABLE not in os.environ:
        os.environ[SERVER_VARIABLE] = serve(model.removeprefix(_PREFIX))


def visible(config: pytest.Config) -> AbstractContextManager[None]:
    """Let what is written to stderr be seen although pytest captures the test's output."""
    capture = config.pluginmanager.getplugin("capturemanager")
    return capture.global_and_fixture_disabled() if capture else nullcontext()
