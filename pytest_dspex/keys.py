"""The keys under which the modules of the plugin share state in pytest's stashes. PYTEST_DONT_REWRITE

A session that does not use the plugin has no such state, and looking for it loads nothing. A key whose values are of a
type of ours stands beside that type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

# in the output that an xdist worker sends to its controller
COLLECTED_OUTPUT = "dspex_collected"
NOTES_OUTPUT = "dspex_notes"
OPTIMIZED_OUTPUT = "dspex_optimized"
PROBLEMS_OUTPUT = "dspex_problems"
RECORDING_OUTPUT = "dspex_recording"
# in the stash of an item
SIBLINGS: pytest.StashKey[list[pytest.Item]] = pytest.StashKey()  # all cases that pytest made of a function
PLACE: pytest.StashKey[int] = pytest.StashKey()  # in the order of collection, which other plugins may shuffle
NEXT_ITEM: pytest.StashKey[pytest.Item | None] = pytest.StashKey()
# in the stash of the session's config
DETAILED: pytest.StashKey[bool] = pytest.StashKey()  # whether a report shows each case in full, with its LM calls
KNOWN_SECRETS: pytest.StashKey[Callable[[], Collection[str]]] = pytest.StashKey()  # of LMs that were called
PLACES: pytest.StashKey[Iterator[int]] = pytest.StashKey()  # of the items that are collected next
COLLECTED_ITEMS: pytest.StashKey[list[pytest.Item]] = pytest.StashKey()  # before any is deselected
SKIPPED_MODULES: pytest.StashKey[bool] = pytest.StashKey()  # whether a module was skipped while it was collected
