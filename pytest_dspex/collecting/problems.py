"""Mistakes in the user's configuration, gathered during collection and reported together. PYTEST_DONT_REWRITE

An error that is raised inside collection ends in a traceback and exit status 2. A mistake in a
marker should end in one clear message and pytest's exit status for usage errors (4).
"""

from __future__ import annotations

import pytest

from pytest_dspex.keys import PROBLEMS_OUTPUT
from pytest_dspex.options import is_worker
from pytest_dspex.reports.shown import shown

_PROBLEMS = pytest.StashKey[list[str]]()


def report_problem(config: pytest.Config, message: str) -> None:
    """Note a mistake; after collection, `raise_problems` ends the session with it."""
    problems = config.stash.setdefault(_PROBLEMS, [])
    if message not in problems:
        problems.append(message)


def raise_problems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """End the session if there were mistakes; a worker runs no test and sends them to its controller.

    Raises:
        pytest.UsageError: Mistakes were reported, and this process is not a worker.
    """
    problems = config.stash.get(_PROBLEMS, [])
    if not problems:
        return
    if is_worker(config):
        send_to_controller(config, *problems)
        items.clear()
        return
    raise pytest.UsageError(shown("\n".join(problems)))


def send_to_controller(config: pytest.Config, *problems: str) -> None:
    """Send mistakes that a worker has found; the controller ends the session with a usage error."""
    sent = config.workeroutput.setdefault(PROBLEMS_OUTPUT, [])  # type: ignore[attr-defined]  # xdist's, on workers only
    sent.extend(problem for problem in problems if problem not in sent)
