"""A test with the marker `dspex_data` becomes one pytest item for each row of its datasets. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dspex_core import ConfigurationError, DatasetError
from pytest_dspex.collecting.problems import report_problem, report_unreadable
from pytest_dspex.collecting.row_marks import marks_of
from pytest_dspex.collecting.rows import ROWS, Row, rows_of
from pytest_dspex.collecting.source import data_sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_dspex.collecting.source import DataSource


def generate(metafunc: pytest.Metafunc) -> None:
    """Parametrize a test that has `dspex_data` markers: each row becomes the fixture `example` of one case."""
    definition: Any = metafunc.definition
    try:
        sources = data_sources(definition)
    except ConfigurationError as error:
        report_problem(metafunc.config, str(error))
        return
    if not _uses_rows(metafunc, sources):
        message = (
            f"{definition.nodeid} is marked with dspex_data but uses neither of the fixtures `example` and "
            "`prediction`; use one of them, or remove the marker"
        )
        report_problem(metafunc.config, message)
        return
    try:
        rows = rows_of(sources, metafunc.config)
        cases = [pytest.param(row.example, id=row.id, marks=marks_of(row.example, metafunc.config)) for row in rows]
    except DatasetError as error:
        report_unreadable(definition, error)
        return
    metafunc.config.stash.setdefault(ROWS, {})[definition.nodeid] = {id(row.example): row for row in rows}
    metafunc.parametrize("example", cases)


def _uses_rows(metafunc: pytest.Metafunc, sources: Sequence[DataSource]) -> bool:
    if any(source.metrics for source in sources) and "example" not in metafunc.fixturenames:
        metafunc.fixturenames.append("example")  # the metrics use it for the test
    return "example" in metafunc.fixturenames


def rows_of_test(item: pytest.Function) -> list[Row]:
    """Return all rows of a case's test, also those of cases that are not selected; empty without datasets."""
    return list(item.config.stash.get(ROWS, {}).get(_function(item), {}).values())


def row_of(item: pytest.Function) -> Row | None:
    """Return the row of a case, if its test has datasets."""
    callspec = getattr(item, "callspec", None)  # of parametrized functions
    rows = item.config.stash.get(ROWS, {}).get(_function(item), {})
    example = callspec.params.get("example") if callspec is not None else None
    return rows.get(id(example))


def _function(item: pytest.Function) -> str:
    assert item.parent is not None, "a test function has a module or a class"
    return f"{item.parent.nodeid}::{item.originalname}"
