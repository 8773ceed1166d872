"""The report as one page that needs no network, no server and no other file. PYTEST_DONT_REWRITE

The page's markup, style and script are files beside this one. Its data is JSON in an element of its own, in which no
character can end the element, and the script puts it on the page as text alone. The page's policy allows this style and
this script, by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

from pytest_dspex.reports.figures import figures_of
from pytest_dspex.reports.shown import each_text, shown

if TYPE_CHECKING:
    from pytest_dspex.reports.document import Document

_SCRIPTS = ("elements.js", "overview.js", "optimizations.js", "cases.js", "main.js")
_LARGEST = 4_500_000  # characters of data; what is over it are prompts, which the JSON report has


def page(document: Document) -> str:
    """Return the whole page."""
    style, script = _asset("page.css"), "\n".join(map(_asset, _SCRIPTS))
    return Template(_asset("page.html")).substitute(
        style=style, style_hash=_hash(style), script=script, script_hash=_hash(script), data=_data(document)
    )


def _data(document: Document) -> str:
    """Return the page's data as JSON without any `<`; texts that stand in several prompts are in it once."""
    report = each_text(document.model_dump(mode="json"), shown)
    texts: dict[str, int] = {}
    calls = [call for suite in report["suites"] for case in suite["cases"] for call in case["calls"]]
    for call in calls:
        call["messages"] = [[turn["role"], texts.setdefault(turn["content"], len(texts))] for turn in call["messages"]]
    data = {"report": report, "figures": [figures_of(suite) for suite in document.suites], "texts": [*texts]}
    written = _json(data)
    if len(written) > _LARGEST:
        _leave_out_prompts(data, by=len(written) - _LARGEST)
        written = _json(data)
    return written


def _leave_out_prompts(data: dict[str, Any], *, by: int) -> None:
    """Leave out prompts until the data is smaller: first those of passed cases, from the last case on."""
    cases = [case for suite in data["report"]["suites"] for case in suite["cases"]]
    passed = [case for case in reversed(cases) if case["outcome"] == "pass"]
    failed = [case for case in reversed(cases) if case["outcome"] != "pass"]
    texts = data["texts"]
    uses = [0] * len(texts)
    for case in cases:
        for text in _texts_of(case):
            uses[text] += 1
    for case in [*passed, *failed]:
        for text in _texts_of(case):
            uses[text] -= 1
            if not uses[text]:
                by -= len(_json(texts[text]))
                texts[text] = ""
        for call in case["calls"]:
            call["messages"] = None
        if by <= 0:
            return


def _texts_of(case: dict[str, Any]) -> list[int]:
    return [text for call in case["calls"] for _, text in call["messages"]]


def _json(data: Any) -> str:
    """Return JSON that may stand in an HTML element: it has neither `<` nor any character that is not ASCII."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e")


def _asset(name: str) -> str:
    return (files("pytest_dspex.reports") / "page" / name).read_text(encoding="utf-8").strip("\n")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
