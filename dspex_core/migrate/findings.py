"""The outcome of each use of DSPy: it runs unchanged, differs, or is missing. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dspex_core.migrate.notes import DIFFERENCES, INSTEAD, INTERNAL, REMOVED, note_on
from dspex_core.migrate.parity import Facts, Parity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dspex_core.migrate.names import Use

Status = Literal["unchanged", "differs", "missing"]


@dataclass(frozen=True)
class Finding:
    """A use of DSPy in a file, with its outcome.

    Attributes:
        file: The file, as the user named it or its folder.
        cell: The cell of a notebook, from 1.
        line: The line, from 1; in a notebook, of the cell.
        column: The column, from 1.
        name: The name that is used, such as `dspy.Predict`, or with `(k=)` one argument of it.
        status: Whether it runs unchanged.
        note: How it differs, or what to do instead; empty where it runs unchanged.
    """

    file: str
    cell: int | None
    line: int
    column: int
    name: str
    status: Status
    note: str = ""

    @property
    def place(self) -> str:
        """The place, as tools and editors read it: file, line and column."""
        cell = "" if self.cell is None else f"cell {self.cell}:"
        return f"{self.file}:{cell}{self.line}:{self.column}"


@dataclass(frozen=True)
class Outcome:
    """The status of a name or of an argument of it, without its place."""

    name: str
    status: Status
    note: str = ""


def outcomes(use: Use, table: Parity) -> list[Outcome]:
    """Return the outcome of a name, then those of the arguments that differ or are missing."""
    module, (name, _, member) = use.thing.module, use.thing.name.partition(".")
    if not name:
        return [_of_module(module, table)]
    if use.overrides:
        return [Outcome(use.thing.path, "differs", "Nothing calls an override of it here.")]
    own = use.thing.own is not None
    if (absent := _of_name(module, name, table)) is not None:
        return [] if own else [absent]  # of a subclass, the base is what is missing
    if use.thing.by_star and name in table.not_by_star.get(module, ()):
        return [Outcome(use.thing.path, "missing", f"`import *` does not take it here: import `{name}` by its name.")]
    facts = table.facts(module, name)
    if member:
        return _of_member(use, facts, member, table=table)
    return [*([] if own else [_present(use)]), *_of_arguments(use, facts)]


def _of_member(use: Use, facts: Facts, member: str, *, table: Parity) -> list[Outcome]:
    """Return the outcomes for the attribute of a class, or of an object of it."""
    name, first = use.thing.name.partition(".")[0], member.partition(".")[0]
    own = use.thing.own
    if own is not None and first in own:
        return []
    if first in facts.missing:
        return [Outcome(use.thing.path, "missing", INSTEAD.get(f"{name}.{first}", f"`{name}` lacks it here."))]
    if f"{name}.{first}" in REMOVED:
        return [Outcome(use.thing.path, "missing", _removed(use.thing.module, f"{name}.{first}", table))]
    methods = facts.methods.get(member, Facts())
    return [*([] if own is not None else [_present(use)]), *_of_arguments(use, methods)]


def _of_module(module: str, table: Parity) -> Outcome:
    if module in table.absent:
        return Outcome(module, "missing", note_on(INSTEAD, module, "") or INTERNAL)
    if module not in table.modules:
        return Outcome(module, "missing", _removed(module, "", table))
    return Outcome(module, "unchanged")


def _of_name(module: str, name: str, table: Parity) -> Outcome | None:
    """Return the outcome for a name that is not here, or None if it is."""
    path = f"{module}.{name}"
    presence = table.presence(module, name)
    if presence == "here":
        return None
    if presence == "unknown":
        if name.startswith("_"):
            return Outcome(path, "missing", f"It is private in DSPy. {INTERNAL}")
        if path not in table.modules:
            return Outcome(path, "missing", _removed(module, name, table))
    elsewhere = next((m for m in sorted(table.modules) if table.presence(m, name) == "here"), None)
    note = note_on(INSTEAD, module, name)
    if note is None and elsewhere is not None:
        note = f"Import it from {elsewhere}."
    return Outcome(path, "missing", note or INTERNAL)


def _removed(module: str, name: str, table: Parity) -> str:
    """Return the advice on a name that DSPy itself no longer has."""
    note = note_on(REMOVED, f"{module}.{name}" if name else module, name)
    return f"DSPy {table.version} does not have it, either. {note or ''}".strip()


def _present(use: Use) -> Outcome:
    name = use.thing.name
    note = DIFFERENCES.get(name)
    return Outcome(use.thing.path, "unchanged") if note is None else Outcome(use.thing.path, "differs", note)


def _of_arguments(use: Use, facts: Facts) -> Iterator[Outcome]:
    """Yield the outcomes of those arguments of a call that do not run unchanged."""
    if use.call is None:
        return
    keywords, positions = use.call
    name, path = use.thing.name, use.thing.path
    for keyword in keywords:
        shown = f"{path}({keyword}=)"
        note = DIFFERENCES.get(f"{name}({keyword})")
        if keyword in facts.lacks:
            by_position = keyword in facts.renamed
            todo = "has another name here: give it by position" if by_position else "is not taken here: leave it out"
            instead = INSTEAD.get(f"{name}({keyword})", f"`{keyword}` of `{name}` {todo}.")
            yield Outcome(shown, "missing", instead)
        elif note is not None:
            yield Outcome(shown, "differs", note)
        elif facts.settings and keyword not in facts.settings:
            yield Outcome(shown, "missing", "DSPy has no such setting, and here an unknown one is an error.")
    if facts.positions is not None and positions > facts.positions:
        how = f"only {facts.positions} by position" if facts.positions else "by name only"
        yield Outcome(f"{path}(...)", "missing", f"`{name}` takes its arguments {how} here: name the others.")


def counted(findings: Iterable[Finding]) -> dict[Status, int]:
    """Return how many uses have which status."""
    counts: dict[Status, int] = {"unchanged": 0, "differs": 0, "missing": 0}
    for finding in findings:
        counts[finding.status] += 1
    return counts
