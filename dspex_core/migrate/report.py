"""A survey as text, as JSON, or as annotations of a pull request. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from dspex_core.migrate.findings import Finding, Status, counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dspex_core.migrate.project import Survey

LEVELS: dict[Status, str] = {"missing": "error", "differs": "warning"}


def as_text(survey: Survey, *, quiet: bool = False) -> str:
    """Write a line for each use, then the counts; `quiet` leaves out the uses that run unchanged."""
    shown = [finding for finding in survey.findings if not quiet or finding.status != "unchanged"]
    lines = [_line(finding) for finding in shown]
    return "\n".join([*lines, *([""] if lines else []), *_summary(survey)]) + "\n"


def _line(finding: Finding) -> str:
    note = f": {finding.note}" if finding.note else ""
    return f"{finding.place}: {finding.status}: {finding.name}{note}"


def _summary(survey: Survey) -> Iterator[str]:
    counts = counted(survey.findings)
    total = sum(counts.values())
    yield f"{many(survey.files, 'file')} read, {survey.using} of them with DSPy"
    if total:
        share = counts["unchanged"] / total
        yield (
            f"{many(total, 'use')}: {counts['unchanged']} unchanged ({share:.0%}), "
            f"{counts['differs']} differ, {counts['missing']} missing"
        )
    missing = Counter(finding.name for finding in survey.findings if finding.status == "missing")
    if missing:
        yield "missing: " + ", ".join(f"{name} ({count})" for name, count in missing.most_common())


def many(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def as_json(survey: Survey, *, version: str) -> str:
    """Write the survey for machines; `counts` says how many uses have which status."""
    document = {
        "dspy": version,
        "files": survey.files,
        "files_with_dspy": survey.using,
        "counts": counted(survey.findings),
        "findings": [asdict(finding) for finding in survey.findings],
        "unread": survey.unread,
        "remarks": survey.remarks,
    }
    return json.dumps(document, indent=2) + "\n"  # escaped: the name of a file may have no form in UTF-8


def as_annotations(survey: Survey) -> str:
    """Write what differs or is missing as GitHub's workflow commands, then the counts."""
    lines = [
        f"::{LEVELS[each.status]} file={_escaped(each.file, for_property=True)},line={each.line},col={each.column}"
        f"::{_escaped(f'{each.name}: {each.note}')}"
        for each in survey.findings
        if each.status in LEVELS
    ]
    return "\n".join([*lines, *_summary(survey)]) + "\n"


def _escaped(text: str, *, for_property: bool = False) -> str:
    """Escape a text as workflow commands want it: lines, and within a property its delimiters, too."""
    replaced = {"%": "%25", "\r": "%0D", "\n": "%0A", **({":": "%3A", ",": "%2C"} if for_property else {})}
    return "".join(replaced.get(character, character) for character in text)
