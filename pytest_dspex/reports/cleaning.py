"""Removes credentials, and control characters from models and datasets, from pytest's reports. PYTEST_DONT_REWRITE

The terminal, JUnit XML, xdist's controller and other plugins all read the reports, so a report is cleaned where it is
made.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from pytest_dspex.hookspecs.redacting import redacted, redactor
from pytest_dspex.keys import KNOWN_SECRETS
from pytest_dspex.reports import alike
from pytest_dspex.reports.shown import each_text, shown
from pytest_dspex.reports.wrapped import without_wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dspex_core import BaseLM

_Report = TypeVar("_Report", pytest.TestReport, pytest.CollectReport)
_SHORTEST = 8  # characters of a credential: a shorter text may occur anywhere by chance
_HIDDEN_FIELDS = ("longrepr", "sections", "user_properties", alike.NOTE)


def clean_test_report(report: pytest.TestReport, item: pytest.Item) -> pytest.TestReport:
    """Return the report of a test's phase without credentials and control characters."""
    if report.outcome == "passed" and not report.sections and not report.user_properties:
        return report
    funcargs = item.funcargs if isinstance(item, pytest.Function) else {}
    secrets = secrets_of(funcargs.values(), item.config)
    if report.outcome == "passed" and not report.sections and _is_clean(report.user_properties, secrets):
        return report  # as those of most cases
    return _clean(report, item.config, secrets=secrets)


def _is_clean(properties: Iterable[tuple[str, object]], secrets: list[str]) -> bool:
    hide = partial(without, secrets=secrets)
    return all(hide(name) == name and each_text(value, hide) == value for name, value in properties)


def clean_collect_report(report: pytest.CollectReport, collector: pytest.Collector) -> pytest.CollectReport:
    """Return the report of a collection without credentials and control characters."""
    if report.outcome == "passed" and not report.sections:
        return report
    return _clean(report, collector.config, secrets=secrets_of((), collector.config))


def _clean(report: _Report, config: pytest.Config, *, secrets: list[str]) -> _Report:
    """Clean the parts of a report in its JSON form, which is one for the many representations of failures."""
    stored = report._to_json()  # noqa: SLF001  as xdist sends it; the hook would add data that only other plugins read
    hide = partial(without, secrets=secrets)
    terminal = config.pluginmanager.getplugin("terminalreporter")  # `None` with `-p no:terminal`
    keep_color = terminal is not None and terminal.hasmarkup
    hidden = {**stored, "longrepr": _hidden_across_lines(stored["longrepr"], hide)}
    cleaned: dict[str, Any] = {name: each_text(hidden[name], hide) for name in _HIDDEN_FIELDS if name in stored}
    if "user_properties" in stored:
        pairs = stored["user_properties"]
        cleaned["user_properties"] = [_clean_property(name, value, hide) for name, value in pairs]
    cleaned["longrepr"] = each_text(cleaned["longrepr"], partial(shown, keep_color=keep_color))
    if (redact := redactor(config)) is not None:
        cleaned.update(_redacted(cleaned, redact))
    if all(cleaned[name] == stored[name] for name in cleaned):
        return report
    result = type(report)._from_json({**stored, **cleaned})  # noqa: SLF001  as above
    result.__dict__.update({name: value for name, value in report.__dict__.items() if name not in cleaned})
    return result


def _hidden_across_lines(data: Any, hide: Callable[[str], str]) -> Any:
    """Return a stored failure without the credentials that go over several of its lines, such as a private key."""
    if isinstance(data, list | tuple):
        return type(data)([_hidden_across_lines(item, hide) for item in data])  # a skip is a tuple
    if not isinstance(data, dict):
        return data
    return {
        name: hide("\n".join(inner)).split("\n")
        if name == "lines" and isinstance(inner, list)
        else _hidden_across_lines(inner, hide)
        for name, inner in data.items()
    }


def _redacted(cleaned: Mapping[str, Any], redact: Callable[[str], str]) -> dict[str, Any]:
    """Return the parts of a report that plugins redact; the facts of a case are redacted where they are made."""
    parts = {
        "longrepr": redacted(cleaned["longrepr"], redact),
        "sections": [(name, redact(text)) for name, text in cleaned["sections"]],
    }
    if alike.NOTE in cleaned:
        function, kind, *texts = cleaned[alike.NOTE]
        parts[alike.NOTE] = [function, kind, *redacted(texts, redact)]
    return parts


def _clean_property(name: str, value: Any, hide: Callable[[str], str]) -> tuple[str, Any]:
    """Clean a property; in the results of a case, each text by itself, as it is written otherwise within JSON."""
    from pytest_dspex.gates.records import PROPERTY  # only sessions with properties need it

    if name != PROPERTY or hide(value) == value:
        return hide(name), each_text(value, hide)
    return name, json.dumps(each_text(json.loads(value), hide), separators=(",", ":"))


def without(text: str, *, secrets: list[str]) -> str:
    """Return a text without some secrets, and without credentials of an unmistakable form."""
    from dspex_core.plugin_api import HIDDEN, masked  # imported only for reports with text

    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return masked(without_wrapped(text, tuple(secrets), hidden=HIDDEN))


def secrets_of(values: Iterable[object], config: pytest.Config) -> list[str]:
    """Return the credentials in the environment of this process, and the keys of the LMs in use, the longest first."""
    from dspex_core.plugin_api import environment_secrets, secret_forms  # as above

    found = environment_secrets()
    if "dspex_core.lm.client" in sys.modules:  # without it there is not an LM
        from dspex_core import BaseLM
        from dspex_core.plugin_api import current

        lms = [value for value in (*values, current().lm) if isinstance(value, BaseLM)]
        found.update(secret for lm in lms for secret in _keys_of(lm))
    if KNOWN_SECRETS in config.stash:  # the keys with which LMs were called
        found.update(config.stash[KNOWN_SECRETS]())
    stripped = {secret.strip() for secret in found}
    long = (form for secret in stripped if len(secret) >= _SHORTEST for form in secret_forms(secret))
    return sorted(set(long), key=len, reverse=True)


def _keys_of(lm: BaseLM) -> Iterable[str]:
    """Return the credentials among an LM's attributes and sampling parameters, in dictionaries too."""
    from dspex_core.plugin_api import is_secret  # as above

    levels: list[tuple[Mapping[Any, Any], bool]] = [({**vars(lm), **lm.config}, False)]
    seen = set()  # a dictionary may hold itself
    for values, is_secret_within in levels:
        for name, value in values.items():
            if isinstance(value, dict) and id(value) not in seen:
                seen.add(id(value))
                levels.append((value, is_secret_within or is_secret(str(name))))
            elif isinstance(value, str) and (is_secret_within or is_secret(str(name))):
                yield value
