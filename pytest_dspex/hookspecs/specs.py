"""The specifications of the hooks: what each is given, and what it returns. PYTEST_DONT_REWRITE

All hooks are optional. An implementation takes only the arguments that it needs. docs/extending.md has an example of
each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from dspex_core import BaseLM
    from pytest_dspex.gates.own import GateDecision
    from pytest_dspex.gates.records import CaseRecord
    from pytest_dspex.gates.verdicts import Verdict


@pytest.hookspec(firstresult=True)
def pytest_dspex_lm(config: pytest.Config) -> BaseLM | None:
    """Return the LM of the session, which the fixture `lm` is then; `None` leaves it to the ini key `dspex_lm`."""


@pytest.hookspec
def pytest_dspex_metrics(config: pytest.Config) -> Mapping[str, Callable[..., Any]]:  # type: ignore[empty-body]
    """Return metrics by name, which tests name in `dspex_data(..., metrics=["name"])`."""


@pytest.hookspec(firstresult=True)
def pytest_dspex_load_dataset(source: Any, folder: Path, config: pytest.Config) -> Iterable[Any] | str | Path | None:
    """Return the rows of a dataset: dicts or `Example`s, or the path of a file that has them.

    `source` is the dataset as the test names it, `folder` that of the test's file. `None` leaves it to others, and at
    last to the formats that are built in. The rows of one text or path are asked for once in a session.
    """


@pytest.hookspec
def pytest_dspex_redact(text: str, config: pytest.Config) -> str | None:
    """Return a text without what must not be stored or shown; `None` leaves it as it is.

    It is called for each text that goes into a cassette or a report. Several implementations work one after the other.
    """


@pytest.hookspec
def pytest_dspex_gate(
    test: str, cases: Sequence[CaseRecord], verdicts: Sequence[Verdict], config: pytest.Config
) -> GateDecision | Iterable[GateDecision] | None:
    """Decide gates of one's own over the cases of a test, or fail gates that the test has.

    It is called once for each test function that uses the plugin, after its last case: `test` is its node id, `cases`
    the results of its cases, `verdicts` what its gates have decided.
    """


@pytest.hookspec
def pytest_dspex_report(config: pytest.Config) -> Mapping[str, Callable[[dict[str, Any]], str | bytes]]:  # type: ignore[empty-body]
    """Return formats of reports by name, each a function from the report to the content of its file.

    The report is a dict, as `--dspex-report=json:PATH` writes it. `--dspex-report=NAME:PATH` asks for a format.
    """
