"""Mistakes in the user's configuration: gathered while collecting, told all at once. PYTEST_DONT_REWRITE

pytest turns an error raised inside collection into a traceback and exit status 2; a mistake in
a marker deserves its usage-error exit (4) and one clear message.
"""

from __future__ import annotations

import pytest

from pytest_dspex.keys import PROBLEMS_OUTPUT
from pytest_dspex.options import is_worker
from pytest_dspex.reports.shown import shown

_PROBLEMS = pytest.StashKey[list[str]]()


def report_problem(config: pytest.Config, message: str) -> None:
    """Note a mistake; the session ends with it after collection."""
    problems = config.stash.setdefault(_PROBLEMS, [])
    if message not in problems:
        problems.append(message)


def raise_problems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """End the session if there were mistakes; a worker runs nothing and tells its controller.

    Raises:
        pytest.UsageError: There were.
    """
    problems = config.stash.get(_PROBLEMS, [])
    if not problems:
        return
    if is_worker(config):
        tell_controller(config, *problems)
        items.clear()
        return
    raise pytest.UsageError(shown("\n".join(problems)))


def tell_controller(config: pytest.Config, *problems: str) -> None:
    """Send mistakes that a worker has found; they make the session one that was used wrongly."""
    told = config.workeroutput.setdefault(PROBLEMS_OUTPUT, [])  # type: ignore[attr-defined]  # xdist's, on workers only
    told.extend(problem for problem in problems if problem not in told)
