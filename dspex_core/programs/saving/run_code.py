"""The code that runs when a program is called, and the numbers that it reads. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.plain.described import short_digest
from dspex_core.plain.used_code import UsedCode
from dspex_core.programs.saving.tree import attributes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from dspex_core.programs.saving.storable import Storable

_RUN = ("flow", "forward", "aforward", "__call__", "acall")


@dataclass(frozen=True, slots=True)
class RunCode:
    """The code of a program.

    Args:
        digests: A hash for each function and class of the project that runs, by its name.
        assigned: The names of attributes that this code assigns while it runs, such as counters.
    """

    digests: Mapping[str, str]
    assigned: AbstractSet[str]


def run_code(program: Storable) -> RunCode:
    """Return the code of a program's parts, with all of the project that it uses by name."""
    used = UsedCode()
    for kind in {type(module): None for _, module in program.coded_parts()}:
        used.add_methods(kind, _RUN)
    texts: dict[str, set[str]] = {}
    for name, text in used.parts:
        if text != name:  # without a source, nothing is known but the name
            texts.setdefault(name.replace("<locals>.", ""), set()).add(text)
    return RunCode({name: short_digest(sorted(texts[name])) for name in sorted(texts)}, used.assigned)


def numbers_of(program: Storable, code: RunCode) -> dict[str, dict[str, Any]]:
    """Return the public attributes of a program's own modules that are numbers, but for those that a run changes."""
    found = {
        path: {
            name: value
            for name, value in sorted(attributes(module).items())
            if name[:1] != "_" and name not in code.assigned and isinstance(value, int | float)
        }
        for path, module in program.coded_parts()
    }
    return {path: numbers for path, numbers in found.items() if numbers}
