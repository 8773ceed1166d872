"""Which tool a model means by the name that it writes. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dspex_core.plain.reading.choices import normal_name

if TYPE_CHECKING:
    from collections.abc import Collection

_LONGEST = 200  # of a name with arguments behind it
# `functions.search`, `default_api:search`, `tools/search`, `search(query="x")`, `search:0`, `call search`
_CALLED = re.compile(
    r"\W*(?:(?:call|use|tool|function)\b[\s:]+)?(?:[\w-]+[.:/])*?(?P<name>[\w-]+)(?:\(.*\))?(?::\d+)?\W*",
    re.DOTALL | re.IGNORECASE,
)


def called_name(name: str, known: Collection[str]) -> str:
    """Return the known name that a model means by another spelling of it: `Search`, `functions.search`, `search()`.

    The name itself is returned if it is known, or if no known one or several are meant.
    """
    if name in known:
        return name
    found = _CALLED.fullmatch(name[:_LONGEST])
    for spelled in (name, found["name"] if found else ""):
        wanted = normal_name(spelled)
        meant = [each for each in known if normal_name(each) == wanted and wanted]
        if meant:
            return meant[0] if len(meant) == 1 else name
    return name
