"""`--dspex-rejudge=run.json`: the outputs of an earlier session, scored again without asking the program's LM.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_dspex.collecting.case import CASE
from pytest_dspex.reports.shown import shown_briefly
from pytest_dspex.running.facts import inputs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pytest_dspex.reports.document import CaseRow

_CUT = re.compile(r"\.\.\. \(\+\d+(?: characters)?\)\Z")


class Rejudging:
    """The cases of an earlier session, by node id; `path` is that of its report."""

    def __init__(self, path: Path, cases: Mapping[str, CaseRow]) -> None:
        self._path = path
        self._cases = cases

    def output(self, item: pytest.Item, program: Callable[..., Any]) -> Any:
        """Return the recorded output of a program for a case.

        Raises:
            pytest.fail.Exception: The report has none for this case, or not the whole of it.
        """
        example = item.stash[CASE].example
        if example is not None and "turns" in example:  # its expectations of each turn would not be checked
            self._refuse(f"cannot be used for {item.nodeid}, a conversation")
        case = self._cases.get(item.nodeid)
        if case is None:
            self._refuse(f"has no case {item.nodeid}")
        if case.got is None:
            why = f": {case.message}" if case.message else ""
            self._refuse(f"has no output of the case {item.nodeid}, which ended with outcome {case.outcome!r}{why}")
        if example is not None and not _is_same(case.inputs, inputs_of(example)):
            self._refuse(f"has other inputs for {item.nodeid} than its row has now")
        if _is_cut(case.got):
            self._refuse(f"holds only the beginning of the long output of {item.nodeid}")
        return _as_made_by(program, case.got)

    def _refuse(self, problem: str) -> NoReturn:
        pytest.fail(f"--dspex-rejudge: {self._path} {problem}; run the case once without this option", pytrace=False)


REJUDGING = pytest.StashKey[Rejudging]()


def configure(config: pytest.Config) -> None:
    """Read the report of the earlier session, if the option names one.

    Raises:
        pytest.UsageError: The file cannot be read, or is not such a report.
    """
    given = config.getoption("dspex_rejudge")
    if not given:
        return
    from pytest_dspex.reports.json_report import read  # it loads pydantic

    path = config.invocation_params.dir / given
    try:
        document = read(path)
    except (OSError, ValueError) as error:
        raise pytest.UsageError(
            f"--dspex-rejudge: {given!r} cannot be read ({shown_briefly(str(error))}); "
            "name a report that --dspex-report=json:PATH has written"
        ) from error
    cases = {case.id: case for suite in document.suites for case in suite.cases}
    config.stash[REJUDGING] = Rejudging(path, cases)


def _as_made_by(program: Callable[..., Any], output: Any) -> Any:
    """Return a recorded output as the program returned it: the fields of a module's prediction have their types."""
    from dspex_core import Module, Prediction  # imported only in sessions that use the core

    if not isinstance(program, Module) or not isinstance(output, dict):
        return output
    types = {
        name: field.annotation
        for _, predictor in program.every_predictor()
        for name, field in predictor.signature.output_fields.items()
    }
    return Prediction(**{name: _typed(value, types.get(name)) for name, value in output.items()})


def _typed(value: Any, annotation: Any) -> Any:
    if annotation is None:
        return value
    from pydantic import TypeAdapter, ValidationError  # as above

    try:
        return TypeAdapter(annotation).validate_python(value)
    except ValidationError:  # the signature has changed since
        return value


def _is_same(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether the inputs are those of the report, in which long values and credentials are not whole."""
    if recorded.keys() != now.keys():
        return False
    return all(_is_cut(recorded[name]) or _hides(recorded[name]) or recorded[name] == now[name] for name in now)


def _hides(value: Any) -> bool:
    from dspex_core.plugin_api import HIDDEN  # as above

    return HIDDEN in str(value)


def _is_cut(value: Any) -> bool:
    if isinstance(value, str):
        return _CUT.search(value) is not None
    if isinstance(value, dict):
        return any(map(_is_cut, value.values()))
    return isinstance(value, list) and any(map(_is_cut, value))
