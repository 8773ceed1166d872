"""What goes on around each test while it runs. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from dspex_core.config import context
from pytest_dspex.collection import CASE, EXPECTED
from pytest_dspex.options import is_worker
from pytest_dspex.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dspex_core.lm.recorded import Recorder

NEXT_ITEM = pytest.StashKey[pytest.Item | None]()
RECORDING = pytest.StashKey[Recording]()
WORKER_KEY = "dspex_expected"
_ASSERTIONS = (AssertionError, pytest.fail.Exception, pytest.skip.Exception, pytest.xfail.Exception)


def recorder_for(item: pytest.Item) -> Recorder | None:
    """Return what stands before the LM calls of an item."""
    config = item.config
    if RECORDING not in config.stash:
        config.stash[RECORDING] = Recording(config)
    return config.stash[RECORDING].recorder(item)


@contextmanager
def around(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Put the item's cassette before all LM calls, its fixtures' included."""
    item.stash[NEXT_ITEM] = nextitem
    with context(recorder=recorder_for(item)):
        yield


def raise_checks(item: pytest.Item) -> None:
    """Raise the failed checks of a test that got to its end, as one failure."""
    case = item.stash.get(CASE, None)
    if case is not None and case.checks:
        failed, case.checks[:] = list(case.checks), []
        pytest.fail("\n".join([f"{len(failed)} failed checks:", *(f"  - {message}" for message in failed)]), False)


def annotate(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Put what the case recorded into its user properties, once, in its newest state."""
    case = item.stash.get(CASE, None)
    if case is None:
        return
    if call.when == "setup":
        case.error = False
    if call.excinfo is not None and not isinstance(call.excinfo.value, _ASSERTIONS):
        case.error = True
    properties = [pair for pair in item.user_properties if pair[0] != "dspex"]
    item.user_properties[:] = [*properties, case.to_property()]


def finish(session: pytest.Session) -> None:
    """Write the cassettes; on a worker, send the controller what it needs."""
    if RECORDING in session.config.stash:
        session.config.stash[RECORDING].save(session)
    if is_worker(session.config):
        expected = json.dumps(session.config.stash.get(EXPECTED, {}))
        session.config.workeroutput[WORKER_KEY] = expected  # type: ignore[attr-defined]  # xdist's, on workers
