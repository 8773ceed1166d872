"""Which programs of a session have a compiled artifact; most sessions have none. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dspex.collecting.case import CASE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_dspex.programs import ProgramSpec


@dataclass(frozen=True, slots=True)
class Used:
    """An artifact in use: its path as it is shown, and what it was compiled from, if it says so."""

    path: str
    fingerprint: Mapping[str, Any] | None
    own_lms: Mapping[str, Any]


USED = pytest.StashKey[dict["ProgramSpec", Used]]()  # those that say what they were compiled from


def with_artifact(items: Iterable[pytest.Item]) -> list[ProgramSpec]:
    """Return the programs of the tests that have an artifact, each once."""
    specs = dict.fromkeys(spec for item in items if CASE in item.stash for spec in item.stash[CASE].programs)
    return [spec for spec in specs if spec.artifact.exists()]
