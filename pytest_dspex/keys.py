"""The keys under which the modules of the plugin share state in pytest's stashes. PYTEST_DONT_REWRITE

A session that does not use the plugin has no such state, and looking for it loads nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_dspex.cassettes.lm_recorder import CassetteRecorder
    from pytest_dspex.cassettes.recording import Recording
    from pytest_dspex.collecting.cases import Case
    from pytest_dspex.running.around import OnDemand
    from pytest_dspex.running.prefetch import Prefetcher
    from pytest_dspex.running.routing import Router
    from pytest_dspex.session.controller import Controller

# in the output that an xdist worker sends to its controller
EXPECTED_OUTPUT = "dspex_expected"
PROBLEMS_OUTPUT = "dspex_problems"
RECORDING_OUTPUT = "dspex_recording"
# in the stash of an item
CASE: pytest.StashKey[Case] = pytest.StashKey()
SIBLINGS: pytest.StashKey[list[pytest.Item]] = pytest.StashKey()  # all cases that pytest made of a function
NEXT_ITEM: pytest.StashKey[pytest.Item | None] = pytest.StashKey()
RECORDER: pytest.StashKey[CassetteRecorder | OnDemand] = pytest.StashKey()
# in the stash of the session's config
CONTROLLER: pytest.StashKey[Controller] = pytest.StashKey()
EXPECTED: pytest.StashKey[dict[str, Mapping[str, Any]]] = pytest.StashKey()
PREFETCHER: pytest.StashKey[Prefetcher] = pytest.StashKey()
RECORDING: pytest.StashKey[Recording] = pytest.StashKey()
ROUTER: pytest.StashKey[Router] = pytest.StashKey()  # absent in a live session
