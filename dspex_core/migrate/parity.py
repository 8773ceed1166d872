"""Which of DSPy's public names are here: the table that docs/build_parity.py writes. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

TABLE = Path(__file__).with_name("parity.json")

Presence = Literal["here", "missing", "raises", "unknown"]


@dataclass(frozen=True)
class Facts:
    """The parts of a class or a function of DSPy that are missing here.

    Attributes:
        lacks: The parameters that ours does not take.
        renamed: Those of them that ours takes by position, under other names.
        positions: How many arguments ours takes by position, if these are fewer than in DSPy.
        settings: The keyword arguments that are settings, if it takes no others.
        missing: The attributes that ours does not have.
        methods: The same of its methods.
    """

    lacks: frozenset[str] = frozenset()
    renamed: frozenset[str] = frozenset()
    positions: int | None = None
    settings: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    methods: dict[str, Facts] = field(default_factory=dict)

    @classmethod
    def of(cls, row: dict[str, Any]) -> Facts:
        """Read a row of the table."""
        names = {key: frozenset(row.get(key, "").split()) for key in ("lacks", "renamed", "settings", "missing")}
        methods = {name: cls.of(each) for name, each in row.get("methods", {}).items()}
        return cls(**names, positions=row.get("positions"), methods=methods)


@dataclass(frozen=True)
class Parity:
    """The names of one release of DSPy, and whether each is here.

    Attributes:
        version: DSPy's version.
        modules: Each module of DSPy, with the presence of its names.
        absent: The modules that are not here.
        not_by_star: The names that are here, but that `from module import *` does not take, by module.
        objects: The facts of classes and functions, by name, or by path where several have the same name.
    """

    version: str
    modules: dict[str, dict[str, Presence]]
    absent: frozenset[str]
    not_by_star: dict[str, frozenset[str]]
    objects: dict[str, Facts]

    def presence(self, module: str, name: str) -> Presence:
        """Return whether a name of a module is here; `"unknown"` if DSPy does not have it, either."""
        return self.modules.get(module, {}).get(name, "unknown")

    def facts(self, module: str, name: str) -> Facts:
        """Return the facts of a name of a module."""
        return self.objects.get(f"{module}.{name}") or self.objects.get(name) or Facts()


@cache
def parity() -> Parity:
    """Read the table that comes with the package."""
    data = json.loads(TABLE.read_text(encoding="utf-8"))
    rows: dict[str, Any] = data["modules"]
    return Parity(
        version=data["dspy"],
        modules={module: _presence(row) for module, row in rows.items()},
        absent=frozenset(module for module, row in rows.items() if row.get("absent")),
        not_by_star={module: frozenset(row.get("not_by_star", "").split()) for module, row in rows.items()},
        objects={name: Facts.of(row) for name, row in data["objects"].items()},
    )


def _presence(row: dict[str, Any]) -> dict[str, Presence]:
    kinds: tuple[Presence, ...] = ("here", "missing", "raises")
    return {name: kind for kind in kinds for name in row.get(kind, "").split()}
