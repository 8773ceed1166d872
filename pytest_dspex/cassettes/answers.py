"""Which answers a recording has changed, for its summary. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pytest_dspex.cassettes.exchange import json_or_none

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dspex_core.plugin_api import Json
    from pytest_dspex.cassettes.entry import Entry

_TOKENS = re.compile(r"\w+|\s+|[^\w\s]")
_SHOWN = 40  # characters of an answer
_EVENT = re.compile(r"^data: ?(\{.*)$", re.MULTILINE)
# Where replies of HTTP APIs have their texts; what else differs (ids, times, counts) is not the answer.
_TEXTS = ("text", "content", "arguments", "partial_json", "thinking", "reasoning_content", "refusal")
_AROUND = tuple(
    "outputs choices message delta output candidates parts tool_calls function error response reply generations".split()  # noqa: SIM905  reads better
)


def change_of(before: Entry, after: Entry) -> str | None:
    """Return how an answer has changed, as `case: old -> new`; `None` if it reads the same."""
    if "embedding" in (before.request.get("kind"), after.request.get("kind")):
        return None if before.response == after.response else f"{after.case or 'the answer'}: another vector"
    old, new = answer_of(before.response), answer_of(after.response)
    if old == new:
        return None
    return f"{after.case or 'the answer'}: {_differing(old, new)}"


def answer_of(response: Json) -> str:
    """Return the text of a stored reply, of an LM's or of any known HTTP API's."""
    if isinstance(response.get("text"), str) and "status" in response:  # a stream of events, else any text
        events = [json_or_none(found[1]) for found in _EVENT.finditer(response["text"])]
        return "".join(text for event in events for text in _texts(event)) or response["text"]
    return "\n".join(_texts(response.get("body", response))) or json.dumps(response, sort_keys=True, ensure_ascii=False)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name in sorted(value.keys() & {*_TEXTS, *_AROUND}):
            inner = value[name]
            if isinstance(inner, str):
                yield inner
            else:
                yield from _texts(inner)
        if "arguments" in value and not isinstance(value["arguments"], str):
            yield json.dumps(value["arguments"], sort_keys=True, ensure_ascii=False)


def _differing(old: str, new: str) -> str:
    """Return two texts without the words that they begin and end with alike."""
    before, after = _TOKENS.findall(old), _TOKENS.findall(new)
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    return f"{_short(before[start : len(before) - end])} -> {_short(after[start : len(after) - end])}"


def _short(tokens: list[str]) -> str:
    text = " ".join("".join(tokens).split())
    return (text if len(text) <= _SHOWN else f"{text[:_SHOWN]}[...]") or "(nothing)"
