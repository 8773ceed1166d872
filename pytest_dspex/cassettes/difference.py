"""How a request differs from a recorded one, as a short diff. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import difflib
import json
import textwrap
from typing import TYPE_CHECKING

from dspex_core import Message

if TYPE_CHECKING:
    from dspex_core.plugin_api import Json
    from pytest_dspex.cassettes.entry import Entry

_WIDTH = 110
_HEADER = 2  # the lines that name the two sides


def difference(recorded: Entry, *, model: str, case: str, request: Json, max_lines: int = 15) -> str:
    """Return a unified diff from a recorded call to the one made now; an empty text if they read the same."""
    before = _readable(recorded.model, recorded.case, recorded.request)
    after = _readable(model, case, request)
    lines = list(difflib.unified_diff(before, after, n=1, lineterm=""))[_HEADER:]
    hidden = len(lines) - max_lines
    return "\n".join([*lines[:max_lines], *([f"... and {hidden} more lines"] if hidden > 0 else [])])


def _readable(model: str, case: str, request: Json) -> list[str]:
    rest = {name: value for name, value in request.items() if name != "messages"}
    parameters = json.dumps(rest, indent=2, sort_keys=True, ensure_ascii=False, default=repr)
    lines = [f"case: {case}", f"model: {model}", *parameters.split("\n")]
    for message in request.get("messages", ()):
        lines += [f"[{message['role']}]", *Message.from_json(message).text.split("\n")]
    return [part for line in lines for part in _wrap(line)]


def _wrap(line: str) -> list[str]:
    """Break a line, so that the diff shows a change deep in a long paragraph."""
    return textwrap.wrap(line, _WIDTH, expand_tabs=False, replace_whitespace=False, drop_whitespace=False) or [""]
