"""Whether all workers of pytest-xdist have collected the same rows. PYTEST_DONT_REWRITE

pytest-xdist compares node ids. Rows of the same ids may still differ, such as those made from an unseeded random
number; then each worker tests something else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_dspex.collecting.rows import ROWS, digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

_OUTPUT = "dspex_rows"


def send_digests(config: pytest.Config) -> None:
    """Send the controller what this worker's rows hold."""
    digests = {function: digest_of(rows.values()) for function, rows in config.stash.get(ROWS, {}).items()}
    config.workeroutput[_OUTPUT] = digests  # type: ignore[attr-defined]  # xdist's, on workers


class Agreement:
    """The controller's comparison of its workers' rows; `problems` are the tests whose rows differ."""

    def __init__(self) -> None:
        self._digests: dict[str, str] = {}
        self.problems: list[str] = []

    def add(self, output: Mapping[str, Any]) -> None:
        """Add the output of a worker."""
        for function, found in output.get(_OUTPUT, {}).items():
            problem = (
                f"{function}: its dataset has other rows in each process, so each worker tested something else: "
                "seed what is random in it, and sort sets"
            )
            if self._digests.setdefault(function, found) != found and problem not in self.problems:
                self.problems.append(problem)
