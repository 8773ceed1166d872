"""Values of other libraries' tables as Python's own. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from decimal import Decimal
from numbers import Rational, Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_MISSING = {"NAType", "NaTType"}  # of pandas, which is not loaded for them
_NUMPY_TIMES = {"datetime64", "timedelta64"}  # in nanoseconds they would become integers
_PLAIN = frozenset({str, int, bool, type(None)})


def row_of(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a table's row by the columns' names; a missing value, which NaN is in a table, is `None`.

    Raises:
        ValueError: A value is a number that JSON does not have.
    """
    return {str(name): value if type(value) in _PLAIN else cell_of(value) for name, value in row.items()}


def cell_of(value: Any) -> Any:
    """Return a table's value as one of Python's own types, at any depth.

    Raises:
        ValueError: A value is a number that JSON does not have.
    """
    kind = type(value).__name__
    if kind in _MISSING:
        return None
    if kind in _NUMPY_TIMES:
        value = value.astype(f"{kind}[us]")
    for method in ("tolist", "to_pydatetime", "to_pytimedelta"):  # of NumPy's values and arrays, and of pandas'
        convert = getattr(value, method, None)
        if callable(convert):
            value = convert(warn=False) if method == "to_pydatetime" else convert()
            break
    if isinstance(value, dict):
        return {str(name): cell_of(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [cell_of(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else finite(value)
    return value


def finite(value: float) -> float:
    """Return a number that JSON has.

    Raises:
        ValueError: The number is infinite or not a number.
    """
    if not math.isfinite(value):
        raise ValueError(f"has the number {value}, which JSON does not have: use None, a finite number or a text")
    return value


def refuse_not_finite(value: Any) -> None:
    """Refuse numbers that JSON does not have, of any type, in a value or in the lists and dicts in it.

    Raises:
        ValueError: There is one.
    """
    if type(value) in _PLAIN:
        return
    if isinstance(value, Decimal) and value.is_finite():
        return  # also one that is too large for a float
    if isinstance(value, Decimal | Real) and not isinstance(value, Rational):  # also NumPy's
        finite(float(value))
    elif type(value).__name__ in _MISSING:
        raise ValueError(f"has the value {value!r}, which JSON does not have: use None")
    elif type(value) is dict:
        for item in value.values():
            refuse_not_finite(item)
    elif type(value) in {list, tuple}:
        for item in value:
            refuse_not_finite(item)
