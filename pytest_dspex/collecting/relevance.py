"""Which tests use the plugin. PYTEST_DONT_REWRITE

In a session without such tests, the other modules of the plugin are not imported.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pytest_dspex.options import OPTIONS, has_gates

if TYPE_CHECKING:
    import pytest

LM_FIXTURES = frozenset({"lm", "judge_lm", "prediction", "evaluate"})  # beside them, the programs
_FIXTURES = LM_FIXTURES | {"scripted_lm", "score", "check"}
PREFIX = "dspex_"
MARKERS = frozenset({"dspex_data", "dspex_gate", "dspex_repeat"})


def is_relevant(item: pytest.Item) -> bool:
    """Return whether a test uses one of the plugin's fixtures or markers, or a marker that looks like one."""
    fixtures = getattr(item, "fixturenames", ())  # not every kind of item has fixtures
    return not _FIXTURES.isdisjoint(fixtures) or any(mark.name.startswith(PREFIX) for mark in item.iter_markers())


def any_relevant(config: pytest.Config, items: list[pytest.Item]) -> bool:
    """Return whether any test may use the plugin, directly or through a program."""
    has_programs = "pytest_dspex.programs" in sys.modules  # a test module or conftest has imported `program`
    is_asked = config.stash[OPTIONS].optimize is not None or has_gates(config)
    return has_programs or is_asked or any(map(is_relevant, items))
