"""The examples of an evaluation: in memory, in a file, or read one by one. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from dspex_core.datasets.checks import Row
from dspex_core.datasets.load import load_dataset
from dspex_core.errors import ConfigurationError
from dspex_core.evaluation.read_once import ReadOnce
from dspex_core.example import Example
from dspex_core.plain.display import value_text
from dspex_core.programs.inputs import input_names

_EMPTY = "the devset is empty: pass at least one example (has a filter removed all?)"


class Devset:
    """Examples, checked and with their inputs.

    Args:
        given: What the user passed: examples or dicts in any iterable, a table, a path, a function that returns one.
        program: Says which fields of a row are inputs, where the row does not.
    """

    def __init__(self, given: Any, program: Callable[..., Any]) -> None:
        self._program = program
        self._rows = _rows_of(given)

    @cached_property
    def listed(self) -> list[Example] | None:
        """The examples, checked; `None` if they are read one by one.

        Raises:
            ConfigurationError: There are no examples, so there is nothing to score, or a row is not an example.
        """
        if not isinstance(self._rows, Sequence):
            return None
        return list(self)

    def in_memory(self) -> list[Example]:
        """Return all examples, also of an iterator.

        Raises:
            ConfigurationError: As for `listed`.
        """
        return list(self) if self.listed is None else self.listed

    def __iter__(self) -> Iterator[Example]:
        """Return the examples one by one.

        Raises:
            ConfigurationError: As for `listed`.
        """
        rows = iter(self._rows)
        try:
            first = next(rows)
        except StopIteration:
            raise ConfigurationError(_EMPTY) from None
        return map(self._example, itertools.count(1), itertools.chain((first,), rows))

    def _example(self, number: int, row: Any) -> Example:
        if isinstance(row, Example):
            return row if "_dspex_inputs" in row.__dict__ else self._with_inputs(number, row)
        if isinstance(row, Mapping):
            return self._with_inputs(number, Example({str(name): value for name, value in row.items()}))
        if not isinstance(row, Row):
            raise ConfigurationError(
                f"row {number} of the devset is not an Example but {value_text(row, 200)}: "
                "write Example(row).with_inputs('name', ...)"
            )
        return row  # type: ignore[return-value]  # another library's, which has what an evaluation needs

    def _with_inputs(self, number: int, row: Example) -> Example:
        found = self._inputs.intersection(row.keys())
        if not found:
            raise ConfigurationError(
                f"row {number} of the devset has no input of the program ({', '.join(sorted(self._inputs))}), "
                f"only {', '.join(row) or 'no fields'}: call with_inputs('name', ...) on it"
            )
        return row.with_inputs(*found)

    @cached_property
    def _inputs(self) -> frozenset[str]:
        return input_names(self._program)


def _rows_of(given: Any) -> Iterable[Any]:
    is_table = hasattr(given, "columns")  # of pandas, polars, or pyarrow
    if isinstance(given, str | os.PathLike) or is_table or (callable(given) and not isinstance(given, Iterable)):
        produced = given() if callable(given) and not is_table else given
        if isinstance(produced, Iterator):
            return ReadOnce(produced, remembers=False)
        return load_dataset(produced)
    if isinstance(given, Mapping | bytes) or not isinstance(given, Iterable):
        raise ConfigurationError(
            f"the devset must be examples or dicts in a list, a DataFrame, a path, or a function that returns one, "
            f"not {value_text(given, 200)}"
        )
    return given
