"""Whether a set of examples can be used at all. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from dspex_core.example import Example
from dspex_core.plain.display import value_text

if TYPE_CHECKING:
    from collections.abc import Sequence


@runtime_checkable
class Row(Protocol):
    """The part of an example that an evaluation needs; other libraries' examples have it, too."""

    def inputs(self) -> Any:
        """Return the inputs by name."""


def problem_of(examples: Sequence[Any], role: str, *, needs_inputs: bool) -> str | None:
    """Return why examples cannot be used, or `None`.

    Args:
        examples: The examples.
        role: Their name in the message, such as `"trainset"`.
        needs_inputs: Whether each has to name its inputs.
    """
    if not isinstance(examples, Iterable):
        return f"the {role} must be a list of examples, not {value_text(examples, 200)}"
    if not examples:
        return f"the {role} is empty: pass at least one example (has a filter removed all?)"
    for number, example in enumerate(examples, 1):
        if not isinstance(example, Example):
            fix = "write Example(row).with_inputs('name', ...)"
            return f"row {number} of the {role} is not an Example but {value_text(example, 200)}: {fix}"
        if needs_inputs and not example.input_keys:
            fix = "call with_inputs('name', ...) on it"
            return f"the inputs of row {number} of the {role} are not known, {value_text(example, 200)}: {fix}"
    return None
