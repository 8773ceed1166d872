"""The scale on which a judge answers, and what its answers are worth. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dspex_core.errors import ConfigurationError
from dspex_core.plain.counts import is_whole
from dspex_core.signatures.signature import OutputField

Given = int | Sequence[int] | type[bool]
_WORDS = ("no", "yes")


@dataclass(frozen=True, slots=True)
class Scale:
    """Whole numbers from `low` to `high`, of which the highest is the best; or the answers yes and no.

    Args:
        low, high: Its ends; those of yes and no are 0 and 1.
        is_yes_or_no: Whether the answers are words.
    """

    low: int
    high: int
    is_yes_or_no: bool = False

    @classmethod
    def of(cls, given: Given) -> Scale:
        """Return the scale that a user names.

        Args:
            given: `5` for 1 to 5; `(0, 10)` for 0 to 10; `2` or `bool` for yes and no.

        Raises:
            ConfigurationError: It names no scale.
        """
        if given is bool or (given == 2 and not isinstance(given, bool)):  # noqa: PLR2004  two answers
            return cls(0, 1, is_yes_or_no=True)
        low, high = _ends(given)
        if not (is_whole(low) and is_whole(high) and low < high):
            raise ConfigurationError(
                f"scale={given!r} does not name a scale: 5 is 1 to 5, (0, 10) is 0 to 10, and bool is yes or no"
            )
        return cls(low, high)

    @property
    def levels(self) -> tuple[float, ...]:
        """What each answer is worth, the lowest first: from 0 to 1."""
        return tuple((answer - self.low) / (self.high - self.low) for answer in range(self.low, self.high + 1))

    @property
    def names(self) -> tuple[str, ...]:
        """The answers as they are written, the lowest first."""
        return _WORDS if self.is_yes_or_no else tuple(map(str, range(self.low, self.high + 1)))

    @property
    def answer_type(self) -> Any:
        """The type of the judge's output."""
        return Literal["yes", "no"] if self.is_yes_or_no else int

    def output(self) -> Any:
        """Return the field of the judge's output, which refuses answers that are not on the scale."""
        if self.is_yes_or_no:
            return OutputField(desc="yes if it meets the criteria, else no")
        return OutputField(desc=f"{self.high} is the best, {self.low} the worst", ge=self.low, le=self.high)

    def value(self, answer: Any) -> float:
        """Return what an answer is worth; also one that a person gave: `4`, `"4"`, `True`, `"yes"`.

        Raises:
            ValueError: It is not on the scale.
        """
        written = _written(answer)
        if self.is_yes_or_no:
            written = {"true": "yes", "false": "no", "1": "yes", "0": "no"}.get(written, written)
        if written not in self.names:
            raise ValueError(f"{answer!r} is not on the scale: {', '.join(self.names)}")
        return self.levels[self.names.index(written)]

    def nearest(self, value: float) -> int:
        """Return the place of the answer whose worth is the nearest: for the mean of several votes."""
        return min(range(len(self.levels)), key=lambda place: (abs(self.levels[place] - value), place))


def _ends(given: Any) -> tuple[Any, Any]:
    if is_whole(given):
        return 1, given
    is_pair = isinstance(given, Sequence) and not isinstance(given, str) and len(given) == 2  # noqa: PLR2004  its ends
    return (given[0], given[1]) if is_pair else (None, None)


def _written(answer: Any) -> str:
    if isinstance(answer, float) and answer.is_integer():
        answer = int(answer)
    return str(answer).strip().lower()
