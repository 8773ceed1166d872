"""Which tests are the plugin's business. PYTEST_DONT_REWRITE

For a session in which none is, the rest of the plugin is not even loaded.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pytest_dspex.options import OPTIONS

if TYPE_CHECKING:
    import pytest

LM_FIXTURES = frozenset({"lm", "prediction", "evaluate"})  # beside them, the programs
_FIXTURES = LM_FIXTURES | {"scripted_lm", "score", "check"}
_MARKERS = frozenset({"dspex_data", "dspex_gate"})


def is_relevant(item: pytest.Item) -> bool:
    """Tell whether a test uses one of the plugin's fixtures or markers."""
    fixtures = getattr(item, "fixturenames", ())  # not every kind of item has fixtures
    return not _FIXTURES.isdisjoint(fixtures) or any(mark.name in _MARKERS for mark in item.iter_markers())


def any_relevant(config: pytest.Config, items: list[pytest.Item]) -> bool:
    """Tell whether any test may use the plugin, be it through a program."""
    has_programs = "pytest_dspex.programs" in sys.modules  # somebody has imported `program`
    return has_programs or config.stash[OPTIONS].optimize is not None or any(map(is_relevant, items))
