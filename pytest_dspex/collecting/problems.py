"""Mistakes in the user's configuration, gathered during collection and reported together. PYTEST_DONT_REWRITE

An error that is raised inside collection ends in a traceback and exit status 2. A mistake in a
marker should end in one clear message and pytest's exit status for usage errors (4). A dataset that
cannot be read is pytest's collection error of the module whose test needs it.
"""

from __future__ import annotations

import pytest

from pytest_dspex.keys import PROBLEMS_OUTPUT
from pytest_dspex.options import is_worker
from pytest_dspex.reports.shown import shown

_PROBLEMS = pytest.StashKey[list[str]]()
_UNREADABLE = pytest.StashKey[list[str]]()  # of a collector


def report_problem(config: pytest.Config, message: str) -> None:
    """Note a mistake; after collection, `raise_problems` ends the session with it."""
    problems = config.stash.setdefault(_PROBLEMS, [])
    if message not in problems:
        problems.append(message)


def report_unreadable(definition: pytest.Item, error: Exception) -> None:
    """Note that a test's dataset cannot be read; `with_unreadable` fails the collection of its module or class."""
    assert definition.parent is not None
    definition.parent.stash.setdefault(_UNREADABLE, []).append(f"{error} (the dataset of {definition.name})")


def with_unreadable(report: pytest.CollectReport, collector: pytest.Collector) -> pytest.CollectReport:
    """Return the report of a collection; it has failed if a dataset could not be read, and says which."""
    if _UNREADABLE in collector.stash:
        before = [str(report.longrepr)] if report.failed else []
        report.outcome, report.result = "failed", []
        report.longrepr = shown("\n".join([*before, *collector.stash[_UNREADABLE]]))
    return report


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
