"""Checks of the arguments of an LM. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence


def only_one(name: str, *values: Any) -> Any:
    """Return the value given under any of its names."""
    given = [value for value in values if value is not None]
    if any(value != given[0] for value in given):
        message = f"{name} is given twice, under two names and with two values"
        raise ConfigurationError(message)
    return given[0] if given else None


def checked_retries(given: Any) -> int:
    """Return a number of retries.

    Raises:
        ConfigurationError: `given` is not a whole number, or negative.
    """
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        message = f"num_retries must be a whole number, 0 or more, not {given!r}"
        raise ConfigurationError(message)
    return given


def check_model(given: Any) -> None:
    """Refuse a model that is not named by a text.

    Raises:
        ConfigurationError: It is of another type.
    """
    if not isinstance(given, str):
        raise ConfigurationError(f"the model must be named as 'provider/model', not by {given!r:.200}")


def check_choice(name: str, given: Any, choices: Sequence[str]) -> None:
    """Raise ConfigurationError if an argument is not among its choices."""
    if given not in choices:
        raise ConfigurationError(f"unknown {name} {given!r}; use one of: {', '.join(map(repr, choices))}")
