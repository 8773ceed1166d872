"""Where a session keeps its recording; who looks for it loads nothing of cassettes. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_dspex.cassettes.lanes import Lanes
    from pytest_dspex.cassettes.live_recorder import LiveRecorder
    from pytest_dspex.cassettes.recording import Recording

RECORDING: pytest.StashKey[Recording] = pytest.StashKey()  # of the session's config
LANES: pytest.StashKey[Lanes] = pytest.StashKey()  # as above; absent in a live session
LIVE: pytest.StashKey[LiveRecorder] = pytest.StashKey()  # as above; only in a live session
