"""Numbers as people write them: `$1,000.50`, `85%`, `4/5`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import Any, Self

from dspex_core.plain.reading.choices import undecorated

_MAX_LENGTH = 60  # people do not write longer numbers
_UNSIGNED = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_NUMBER = rf"[+-]?{_UNSIGNED}"
_CURRENCY = "[$€£¥₹]"
_PLAIN = re.compile(
    rf"(?:(?P<before>[+-])[ \t]*{_CURRENCY}?|{_CURRENCY}\s*(?P<behind>[+-])?)?"
    rf"[ \t]*(?P<number>{_UNSIGNED})\s*{_CURRENCY}?"
)
_PERCENT = re.compile(rf"(?P<number>{_NUMBER})\s*%")
_FRACTION = re.compile(rf"(?P<number>{_NUMBER})\s*/\s*(?P<of>{_UNSIGNED})")


class WrittenNumber(float):
    """A number in JSON whose text says more than its value: `1.10` may be a version."""

    __slots__ = ("_text",)
    _text: str

    def __new__(cls, text: str) -> Self:
        """Make a number that keeps its text."""
        number = super().__new__(cls, text)
        number._text = text
        return number

    def __str__(self) -> str:
        """Return the number as it is written."""
        return self._text


def as_written(text: str) -> float:
    """Return a number of a JSON text, with its text if that is not the usual one."""
    number = float(text)
    return number if repr(number) == text else WrittenNumber(text)


def without_texts(value: Any) -> Any:
    """Return data in which numbers are nothing but numbers."""
    if isinstance(value, WrittenNumber):
        return float(value)
    if isinstance(value, dict):
        return {key: without_texts(item) for key, item in value.items()}
    return [without_texts(item) for item in value] if isinstance(value, list) else value


def numbers_meant(text: str, *, whole: bool) -> list[Decimal]:
    """Return the possible numbers in a text, the likeliest first; empty if it is not a number.

    A percentage or a fraction may be meant as its value or as the number before the sign. Where a `whole` number is
    wanted, a percentage is the number before its sign, and so is a rating such as `4/5`; `5/3` is neither a rating nor
    a whole number. A number has one sign: `--5` is not 5.
    """
    if len(text) > _MAX_LENGTH:
        return []
    written = unicodedata.normalize("NFKC", undecorated(text)).replace("\N{MINUS SIGN}", "-")
    if found := _PLAIN.fullmatch(written):
        number = _decimal(found["number"])
        return [-number if "-" in (found["before"], found["behind"]) else number]
    if found := _PERCENT.fullmatch(written):
        number = _decimal(found["number"])
        return [number] if whole else _distinct([number / 100, number])
    if found := _FRACTION.fullmatch(written):
        return _of_fraction(_decimal(found["number"]), _decimal(found["of"]), whole=whole)
    return []


def _of_fraction(number: Decimal, of: Decimal, *, whole: bool) -> list[Decimal]:
    if not of:
        return []
    if not whole:
        return _distinct([number / of, number])
    if abs(number) <= of:
        return [number]
    return [] if number % of else _distinct([number / of, number])


def _decimal(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def _distinct(numbers: list[Decimal]) -> list[Decimal]:
    return list(dict.fromkeys(numbers))
