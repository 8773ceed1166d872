"""Writes the reports that a session was asked for, and what GitHub Actions shows. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from pytest_dspex.options import OPTIONS
from pytest_dspex.reports import github
from pytest_dspex.reports.own_formats import own_formats
from pytest_dspex.reports.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pytest

    from pytest_dspex.reports.document import Document
    from pytest_dspex.reports.model import Report


def is_asked(config: pytest.Config) -> bool:
    """Return whether the session writes a report besides that on the terminal."""
    return bool(config.stash.get(TARGETS, ())) or github.is_in_use()


def write(config: pytest.Config, report: Report) -> tuple[list[str], list[str]]:
    """Write all reports; return the lines for the terminal, and the problems."""
    from dspex_core import ConfigurationError
    from dspex_core.plugin_api import write_atomically  # imported only in sessions with a report

    document = _document(config, report)
    lines, problems = [], []
    for target in config.stash.get(TARGETS, ()):
        try:
            write_atomically(target.path, _content(config, target.kind, document))
        except ConfigurationError as error:
            problems.append(f"--dspex-report: {target.path} is not written: {error}")
        except OSError as error:
            problems.append(f"--dspex-report: {target.path} could not be written ({error}); name another path")
        else:
            lines.append(f"{target.kind} report: {target.path}")
    if github.is_in_use():
        lines += github.annotation_lines(document, root=config.rootpath)
        try:
            github.write_summary(document)
        except OSError as error:
            problems.append(f"the summary of the job could not be written ({error}); check GITHUB_STEP_SUMMARY")
    return lines, problems


def _document(config: pytest.Config, report: Report) -> Document:
    from pytest_dspex.reports.building import Surroundings, document_of  # they load pydantic
    from pytest_dspex.reports.cleaning import secrets_of, without
    from pytest_dspex.reports.rerun import Reruns

    hide = partial(without, secrets=secrets_of((), config))
    return document_of(report, Surroundings(_mode(config), hide, Reruns.of(config).command))


def _mode(config: pytest.Config) -> Literal["replay", "record", "live"]:
    options = config.stash[OPTIONS]
    if options.live:
        return "live"
    return "replay" if options.record == "none" else "record"


def _content(config: pytest.Config, kind: str, document: Document) -> str | bytes:
    writer = _writers().get(kind)
    return writer(document) if writer else own_formats(config)[kind].content_of(document.model_dump(mode="json"))


def _writers() -> Mapping[str, Callable[[Document], str]]:
    from pytest_dspex.reports import html, json_report, markdown  # as above

    return {"html": html.page, "json": json_report.text_of, "md": markdown.text_of}
