"""The arguments of what the fixtures give to tests, checked in the words of the test. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from dspex_core import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex_core import Score

Function = TypeVar("Function", bound="Callable[..., Any]")
_LONGEST = 200  # characters of a value in a message


def named(name: str, function: Function) -> Function:
    """Return a function under the name of the fixture that gives it, which Python's own errors show."""
    function.__name__ = function.__qualname__ = name
    return function


def as_recorded(name: Any, value: Any) -> Score:
    """Return the score for `score(name, value)`.

    Raises:
        ConfigurationError: The name is not a text, or the value not a score.
    """
    from dspex_core.plugin_api import as_score

    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(
            f"score({_shown(name)}, {_shown(value)}): the name of a score is a text that is not empty, as in "
            'score("accuracy", 1.0)'
        )
    try:
        return as_score(value)
    except ValueError:
        message = (
            f"score({name!r}, {_shown(value)}): the value of a score is a finite number, a bool, a Score, or a "
            f"Prediction with a field 'score', not of type {type(value).__name__}"
            if not isinstance(value, float | int)
            else f"score({name!r}, {_shown(value)}): the value of a score is a finite number"
        )
        raise ConfigurationError(message) from None


def check_condition(condition: Any, message: Any) -> None:
    """Refuse a condition and a message in the wrong order, whose check would always hold.

    Raises:
        ConfigurationError: The condition is a text and the message is not.
    """
    if isinstance(condition, str) and not isinstance(message, str):
        raise ConfigurationError(
            f"check({_shown(condition)}, {_shown(message)}): the condition comes first, then its message"
        )


def check_evaluated(program: Any, inputs: Any) -> None:
    """Refuse wrong arguments of `evaluate`.

    Raises:
        ConfigurationError: The program cannot be called, or the inputs are not names.
    """
    if not callable(program):
        raise ConfigurationError(
            f"evaluate({_shown(program)}, ...): the first argument is the program, a module or a function, not of type "
            f"{type(program).__name__}"
        )
    is_list = isinstance(inputs, Iterable) and not isinstance(inputs, str | bytes)
    if inputs is not None and not (is_list and all(isinstance(name, str) for name in inputs)):
        raise ConfigurationError(
            f"evaluate(..., inputs={_shown(inputs)}): the inputs are a list of the names of fields, as in "
            'inputs=["question"]'
        )


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."
