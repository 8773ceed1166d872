"""The words of a gate: how a marker becomes a `Gate`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

_ARGUMENTS = ("min",)


@dataclass(frozen=True, slots=True)
class Gate:
    """The mean of the score `name` must be at least `min`."""

    name: str
    min: float

    def to_json(self) -> dict[str, Any]:
        """Return the gate as JSON data, which workers send to the controller."""
        return {"name": self.name, "min": self.min}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Gate:
        """Read what `to_json` returned."""
        return cls(name=data["name"], min=data["min"])


def gate_from_marker(mark: pytest.Mark, where: str) -> Gate:
    """Read `@pytest.mark.dspex_gate(name, min=...)`; `where` names the test for the error message."""
    from dspex_core import ConfigurationError  # imported only for tests that have a gate

    problem = _problem_of(mark)
    if problem:
        message = f"{where}: {problem}"
        raise ConfigurationError(message)
    return Gate(name=mark.args[0], min=float(mark.kwargs["min"]))


def _problem_of(mark: pytest.Mark) -> str | None:
    if len(mark.args) != 1 or not isinstance(mark.args[0], str):
        return (
            f"dspex_gate has the positional arguments {mark.args!r}; "
            "give it the name of one score, such as dspex_gate('accuracy', min=0.85)"
        )
    call = f"dspex_gate({mark.args[0]!r})"
    unknown = sorted(set(mark.kwargs) - set(_ARGUMENTS))
    if unknown:
        return f"{call} has an unknown argument {unknown[0]!r}; it takes {', '.join(map(repr, _ARGUMENTS))}"
    if "min" not in mark.kwargs:
        return f"{call} lacks min=, the mean that the score must reach; add it, such as min=0.85"
    minimum = mark.kwargs["min"]
    if isinstance(minimum, bool) or not isinstance(minimum, int | float) or not math.isfinite(minimum):
        return f"{call} has min={minimum!r}, which is not a finite number; set one, such as min=0.85"
    return None
