"""What reports must not hold: credentials, and control characters that a model or a row chose. PYTEST_DONT_REWRITE

A report is what the terminal, JUnit XML, xdist's controller and other plugins read. It is cleaned where it is made.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from pytest_dspex.reports.shown import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dspex_core import BaseLM

_Report = TypeVar("_Report", pytest.TestReport, pytest.CollectReport)
_SHORTEST = 8  # characters of a credential: a shorter text may stand anywhere by chance
_HIDDEN_FIELDS = ("longrepr", "sections", "user_properties")


def clean_test_report(report: pytest.TestReport, item: pytest.Item) -> pytest.TestReport:
    """Return the report of a test's phase without credentials and control characters."""
    if report.outcome == "passed" and not report.sections and not report.user_properties:
        return report
    funcargs = item.funcargs if isinstance(item, pytest.Function) else {}
    return _clean(report, item.config, secrets=_secrets(funcargs.values()))


def clean_collect_report(report: pytest.CollectReport, collector: pytest.Collector) -> pytest.CollectReport:
    """Return the report of a collection without credentials and control characters."""
    if report.outcome == "passed" and not report.sections:
        return report
    return _clean(report, collector.config, secrets=_secrets(()))


def _clean(report: _Report, config: pytest.Config, *, secrets: list[str]) -> _Report:
    """Clean the parts of a report in the form in which it travels, since failures are represented in many ways."""
    stored = report._to_json()  # noqa: SLF001  what xdist sends; the hook for it would add what only other plugins read
    hide = partial(_without, secrets=secrets)
    terminal = config.pluginmanager.getplugin("terminalreporter")  # there may be none
    keep_color = terminal is not None and terminal.hasmarkup
    cleaned = {name: _each_text(stored[name], hide) for name in _HIDDEN_FIELDS if name in stored}
    cleaned["longrepr"] = _each_text(cleaned["longrepr"], partial(shown, keep_color=keep_color))
    if all(cleaned[name] == stored[name] for name in cleaned):
        return report
    result = type(report)._from_json({**stored, **cleaned})  # noqa: SLF001  as above
    result.__dict__.update({name: value for name, value in report.__dict__.items() if name not in cleaned})
    return result


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: _each_text(each, change) for name, each in value.items()}
    if isinstance(value, list):
        return [_each_text(each, change) for each in value]
    if isinstance(value, tuple):
        return tuple(_each_text(each, change) for each in value)
    return value


def _without(text: str, *, secrets: list[str]) -> str:
    from dspex_core.plugin_api import HIDDEN, masked  # only reports that say something need it

    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return masked(text)


def _secrets(values: Iterable[object]) -> list[str]:
    """Return the credentials that this process knows: those in its environment, and the keys of the LMs in use."""
    from dspex_core.plugin_api import is_secret  # as above

    # A path is no secret: PWD is one, and so is where a key's file lies.
    found = {value for name, value in os.environ.items() if is_secret(name) and not Path(value).exists()}
    if "dspex_core.lm.client" in sys.modules:  # somebody has made an LM
        from dspex_core import BaseLM
        from dspex_core.plugin_api import current

        lms = [value for value in (*values, current().lm) if isinstance(value, BaseLM)]
        found.update(secret for lm in lms for secret in _keys_of(lm))
    stripped = {secret.strip() for secret in found}
    return sorted((secret for secret in stripped if len(secret) >= _SHORTEST), key=len, reverse=True)


def _keys_of(lm: BaseLM) -> Iterable[str]:
    """Return the credentials among an LM's attributes and sampling parameters, in dictionaries too."""
    return _secret_texts({**vars(lm), **lm.config}, name="")


def _secret_texts(value: object, *, name: str) -> Iterable[str]:
    from dspex_core.plugin_api import is_secret  # as above

    if isinstance(value, dict):
        for inner, each in value.items():
            yield from _secret_texts(each, name=str(inner) if not is_secret(name) else name)
    elif isinstance(value, str) and is_secret(name):
        yield value
