"""How often a case is repeated, how many attempts must pass, and whether they did. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from dspex_core import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pytest

ATTEMPT_PROPERTY = "dspex-attempt"  # the name of the user property with an attempt's result

_ARGUMENTS = ("require", "pass_at", "pass_pow", "min")


@dataclass(frozen=True, slots=True)
class Repeat:
    """How often each case of a test runs, and what its attempts must come to.

    Args:
        times: The number of attempts.
        require: How many of them must pass in each case; `None` without such a rule.
        pass_at: The k of pass@k: at least one attempt of each case must pass, or the mean of pass@k must reach `min`.
        pass_pow: The k of pass^k: at least k attempts of each case must pass, or the mean of pass^k must reach `min`.
        min: What the mean of pass@k or pass^k over the cases must reach.
    """

    times: int
    require: int | None = None
    pass_at: int | None = None
    pass_pow: int | None = None
    min: float | None = None

    @property
    def label(self) -> str:
        """The name of the rule in reports; empty if each attempt must pass by itself."""
        if self.require is not None:
            return f"repeat-{self.require}/{self.times}"
        if self.pass_at is not None:
            return f"pass@{self.pass_at}"
        return f"pass^{self.pass_pow}" if self.pass_pow is not None else ""

    @property
    def needed(self) -> int:
        """How many attempts of a case must pass."""
        return self.require or (1 if self.pass_at is not None else self.pass_pow or self.times)

    def estimate(self, passed: int, attempts: int) -> float:
        """Return pass@k or pass^k of a case; with `require`, whether it is met."""
        from dspex_core.plugin_api import pass_at_k, pass_pow_k  # imported only in sessions with repeats

        if self.pass_at is not None:
            return pass_at_k(passed=passed, attempts=attempts, k=self.pass_at)
        if self.pass_pow is not None:
            return pass_pow_k(passed=passed, attempts=attempts, k=self.pass_pow)
        return float(passed >= self.needed)

    def with_times(self, times: int) -> Repeat:
        """Return the same rule for another number of attempts, of which the same share must pass."""
        share = None if self.require is None else math.ceil(self.require * times / self.times)
        return replace(
            self,
            times=times,
            require=share,
            pass_at=self.pass_at and min(self.pass_at, times),
            pass_pow=self.pass_pow and min(self.pass_pow, times),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return asdict(self)


def repeat_from_marker(mark: pytest.Mark, *, where: str) -> Repeat:
    """Read a `dspex_repeat` marker.

    Raises:
        ConfigurationError: An argument is missing, unknown or not valid.
    """
    problem = _problem_of(mark)
    if problem is not None:
        raise ConfigurationError(f"{where}: @pytest.mark.dspex_repeat {problem}")
    options = dict(mark.kwargs)
    if "require" in options:
        options["require"] = _required(options["require"], mark.args[0])
    return Repeat(mark.args[0], **options)


def _problem_of(mark: pytest.Mark) -> str | None:
    if len(mark.args) != 1 or not _is_count(mark.args[0]):
        return f"has the positional arguments {mark.args!r}; give it one, the number of attempts: dspex_repeat(5)"
    unknown = sorted(set(mark.kwargs) - set(_ARGUMENTS))
    if unknown:
        return f"has an unknown argument {unknown[0]!r}; it takes {', '.join(_ARGUMENTS)}"
    rules = [name for name in ("require", "pass_at", "pass_pow") if name in mark.kwargs]
    if len(rules) > 1:
        return f"has both {rules[0]} and {rules[1]}; keep one"
    return _problem_of_rule(mark.kwargs, mark.args[0]) or _problem_of_min(mark.kwargs)


def _problem_of_rule(options: Mapping[str, Any], times: int) -> str | None:
    if "require" in options and _required(options["require"], times) is None:
        return f"has require={options['require']!r}; write how many of the attempts must pass: require='3/{times}'"
    for name in ("pass_at", "pass_pow"):
        if name in options and not (_is_count(options[name]) and options[name] <= times):
            return f"has {name}={options[name]!r}; it must be a whole number from 1 to {times}"
    return None


def _problem_of_min(options: Mapping[str, Any]) -> str | None:
    if "min" not in options:
        return None
    least = options["min"]
    if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least <= 1:
        return f"has min={least!r}; it must be a number from 0 to 1"
    if not {"pass_at", "pass_pow"}.intersection(options):
        return "has min= without pass_at= or pass_pow=, whose mean it is for; add one of them"
    return None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _required(require: Any, times: int) -> int | None:
    """Return how many attempts must pass; `None` if the argument does not say."""
    if isinstance(require, str):
        parts = re.fullmatch(r"\s*(\d+)\s*(?:/|of)\s*(\d+)\s*", require)
        require = int(parts[1]) if parts and int(parts[2]) == times else None
    return require if _is_count(require) and require <= times else None


@dataclass(frozen=True, slots=True)
class RepeatedCase:
    """The attempts at one case that ran: how many, how many passed, and why the first that failed did."""

    name: str
    attempts: int
    passed: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class RepeatVerdict:
    """Whether the attempts of a test came to what its rule says; `low` are the cases that did not."""

    repeat: Repeat
    status: Literal["passed", "failed", "not evaluated"]
    reason: str
    low: tuple[RepeatedCase, ...] = ()


def decide_repeats(repeat: Repeat, cases: Sequence[RepeatedCase], *, expected: int) -> RepeatVerdict:
    """Decide a rule over the cases that ran, of the `expected` attempts that the test has.

    Cases that are not selected do not matter to a rule for each case; a mean needs all of them.
    """
    whole = [case for case in cases if case.attempts == repeat.times]
    # Whatever the attempts that are missing had come to.
    low = tuple(case for case in cases if case.passed + repeat.times - case.attempts < repeat.needed)
    if repeat.min is not None:
        return _decide_mean(repeat, whole, low, expected=expected)
    facts = f"{len(cases) - len(low)} of {len(cases)} cases passed at least {repeat.needed} of {repeat.times} attempts"
    if low:
        return RepeatVerdict(repeat, "failed", facts, low)
    if len(whole) < len(cases) or not whole:
        missing = f"{len(cases) - len(whole)} of {len(cases)} cases did not run all {repeat.times} attempts"
        return RepeatVerdict(repeat, "not evaluated", missing)
    return RepeatVerdict(repeat, "passed", facts)


def _decide_mean(
    repeat: Repeat, whole: Sequence[RepeatedCase], low: tuple[RepeatedCase, ...], *, expected: int
) -> RepeatVerdict:
    ran = len(whole) * repeat.times
    if ran < expected or not whole:
        return RepeatVerdict(repeat, "not evaluated", f"{ran}/{expected} attempts")
    assert repeat.min is not None
    mean = math.fsum(repeat.estimate(case.passed, case.attempts) for case in whole) / len(whole)
    passed = mean >= repeat.min - 1e-9  # as for gates: binary fractions
    sign = ">=" if passed else "<"
    facts = f"{repeat.label} {mean:.4g} {sign} {repeat.min:.4g}, {len(whole)} cases of {repeat.times} attempts"
    return RepeatVerdict(repeat, "passed" if passed else "failed", facts, () if passed else low)


def repeat_from_json(data: Mapping[str, Any]) -> Repeat:
    """Read what `Repeat.to_json` returned."""
    return Repeat(**data)
