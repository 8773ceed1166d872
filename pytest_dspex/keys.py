"""The keys under which the modules of the plugin share state in pytest's stashes. PYTEST_DONT_REWRITE

A session that does not use the plugin has no such state, and looking for it loads nothing. A key whose values are of a
type of ours stands beside that type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

# in the output that an xdist worker sends to its controller
EXPECTED_OUTPUT = "dspex_expected"
PROBLEMS_OUTPUT = "dspex_problems"
RECORDING_OUTPUT = "dspex_recording"
# in the stash of an item
SIBLINGS: pytest.StashKey[list[pytest.Item]] = pytest.StashKey()  # all cases that pytest made of a function
NEXT_ITEM: pytest.StashKey[pytest.Item | None] = pytest.StashKey()
# in the stash of the session's config
EXPECTED: pytest.StashKey[dict[str, Mapping[str, Any]]] = pytest.StashKey()
