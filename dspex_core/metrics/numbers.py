"""A metric of one field that is a number. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import decimal
import re
import unicodedata
from functools import partial
from typing import Any, NamedTuple

from dspex_core.errors import ConfigurationError
from dspex_core.metrics.comparison import as_text, is_missing
from dspex_core.metrics.fields import FieldMetric, mismatch, options_text
from dspex_core.metrics.score import Score
from dspex_core.plain.reading.numbers import numbers_meant

_LARGEST = decimal.Decimal("1e300")  # that floats hold
_NOISE = 1e-9  # of computing with floats
_SIGNS = {"$": "usd", "€": "eur", "£": "gbp", "¥": "jpy", "₹": "inr"}
_CODES = "usd|eur|gbp|jpy|inr|chf|cny|cad|aud"
_CURRENCIES = {"dollar": "usd", "dollars": "usd", "euro": "eur", "euros": "eur", "yen": "jpy", "rupees": "inr"}
_SHORT = {"m": 10**6, "mn": 10**6, "b": 10**9, "bn": 10**9}  # behind an amount of money
_SCALES = {"k": 10**3, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PERCENT = re.compile(r"(?<=\d)\s*per\s?cent\b", re.IGNORECASE)
_NUMBER = r"[+-]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)(?:e[+-]?\d{1,3})?"
_SIGNED = "".join(map(re.escape, _SIGNS))
_WITH_UNIT = re.compile(
    rf"(?P<sign>-?)\s*(?P<before>[{_SIGNED}]|(?:{_CODES})(?![^\W\d]))?\s*(?P<number>{_NUMBER})\s*"
    rf"(?P<scale>(?<=\d)k(?!\w)|thousand|million|billion|trillion)?\s*(?P<after>[{_SIGNED}%]|°?\s?[^\W\d_][^\d,.]{{0,20}}\^?[23]?|°)?",
    re.IGNORECASE,
)


class _Reading(NamedTuple):
    """A number as a text has it: what it may mean, and what it counts."""

    meant: tuple[decimal.Decimal, ...]
    unit: str


def number_match(
    field: str | None = None,
    *,
    abs: float | None = None,  # noqa: A002  the names of `pytest.approx`
    rel: float | None = None,
    expected: str | None = None,
) -> FieldMetric:
    """Make a metric that is 1 where a number is the expected one, within a tolerance.

    Numbers are read as adapters read them: `"1,234.50"`, `"12 %"` (12 or 0.12), `"$3"`, `"3.5e3"`, `"5 km"`. Where both
    have a unit, it has to be the same. `details` has the `difference`.

    Args:
        field: The field of the prediction; by default the only output that the example has a value for.
        abs: How far it may be off.
        rel: How far it may be off, as a share of the expected number. The wider of the two tolerances counts; without
            any, only the noise of computing with floats is forgiven.
        expected: The field of the example, if it has another name.

    Raises:
        ConfigurationError: A tolerance is negative or not a number.
    """
    for name, value in (("abs", abs), ("rel", rel)):
        if value is not None and not 0 <= value < float("inf"):
            raise ConfigurationError(f"number_match({field!r}) needs {name} >= 0, not {value!r}")
    options = options_text(abs=(abs, None), rel=(rel, None), expected=(expected, None))
    own = _NOISE if abs is None and rel is None else 0.0
    judge = partial(_number, absolute=abs or 0.0, relative=own if rel is None else rel)
    return FieldMetric("number_match", field, judge, options, expected)


def _number(expected: Any, predicted: Any, *, absolute: float, relative: float) -> Score:
    if is_missing(expected) or is_missing(predicted):
        is_right = is_missing(expected) and is_missing(predicted)
        return Score(float(is_right), "" if is_right else mismatch(expected, predicted))
    wanted, found = _read(expected), _read(predicted)
    if wanted is None:
        raise ConfigurationError(f"number_match needs a number in the example, not {expected!r}")
    if found is None:
        return Score(0.0, f"{mismatch(expected, predicted)}, which is not a number")
    if len({wanted.unit, found.unit} - {"", "%"}) > 1:
        return Score(0.0, f"{mismatch(expected, predicted)}: the units differ")
    if len(wanted.meant) > 1 and len(found.meant) > 1:  # of two percentages, neither is a share; so of two fractions
        meant = -1 if wanted.unit == found.unit == "%" else 0
        wanted, found = (reading._replace(meant=(reading.meant[meant],)) for reading in (wanted, found))
    with decimal.localcontext(decimal.Context(traps=[])):  # numbers beyond all bounds are not equal, and not an error
        off = [(abs(one - other), abs(one)) for one in wanted.meant for other in found.meant]
        difference = min(gap for gap, _ in off)
        allowed = decimal.Decimal(absolute), decimal.Decimal(relative)
        is_right = any(gap <= max(allowed[0], allowed[1] * size) for gap, size in off if gap.is_finite())
        details = {"difference": float(difference)} if difference < _LARGEST else {}
    return Score(float(is_right), "" if is_right else mismatch(expected, predicted), details)


def _read(value: Any) -> _Reading | None:
    """Return a number that is written in any usual form; `None` for what is not one."""
    if isinstance(value, bool):
        return None
    text = unicodedata.normalize("NFKC", as_text(value)).replace("\N{MINUS SIGN}", "-").strip()
    try:
        plain = decimal.Decimal(text)
    except decimal.InvalidOperation:
        return _written(text)
    return _Reading((plain,), "") if plain.is_finite() else None


def _written(text: str) -> _Reading | None:
    text = _PERCENT.sub("%", text)
    meant = numbers_meant(text, whole=False)
    found = _WITH_UNIT.fullmatch(text.strip("\"'`*_ !;:").rstrip("."))
    if found is None or (found["sign"] and found["number"][0] in "+-"):
        return _Reading(tuple(meant), "") if meant else None
    before, unit = (found["before"] or "").casefold(), (found["after"] or found["before"] or "").strip().casefold()
    number = decimal.Decimal(f"{found['sign']}{found['number'].replace(',', '')}")
    scaled = number * _SCALES[found["scale"].casefold()] if found["scale"] else number
    if before and unit in _SHORT:
        scaled, unit = number * _SHORT[unit], before
    return _Reading(tuple(meant) or (scaled,), _SIGNS.get(unit) or _CURRENCIES.get(unit) or unit)
