"""Checks of the arguments of an LM. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError, LMConfigurationError
from dspex_core.lm.base import BaseLM
from dspex_core.plain.counts import is_whole
from dspex_core.plain.display import value_text

if TYPE_CHECKING:
    from collections.abc import Sequence

_REASONS = re.compile(r"(o[1345](-(mini|nano|pro))?(-\d{4}-\d{2}-\d{2})?|gpt-5(?!-chat)(-.*)?)$")
_LEAST_FOR_REASONING = 16_000


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
    if not is_whole(given, 0):
        message = f"num_retries must be a whole number, 0 or more, not {given!r}"
        raise ConfigurationError(message)
    return given


def checked_fallbacks(given: Any) -> tuple[BaseLM | str, ...]:
    """Return the LMs to try in turn; none for `None`.

    Raises:
        ConfigurationError: `given` is not a list of LMs and model strings. A text would be taken letter by letter.
    """
    if given is None:
        return ()
    is_list = isinstance(given, Iterable) and not isinstance(given, str | Mapping)
    found = tuple(given) if is_list else ()
    wrong = next((lm for lm in found if not isinstance(lm, str | BaseLM)), None) if is_list else given
    if not is_list or wrong is not None or None in found:
        kind = type(wrong).__name__  # alone: the value may hold a key
        raise ConfigurationError(f"fallbacks must be a list of LMs or model strings; a {kind} was given")
    return found


def check_target(model: Any, model_type: Any, engine: Any) -> None:
    """Refuse a model that is not named by a text, and kinds of API and engines that there are not.

    Raises:
        ConfigurationError: One of them is not known.
    """
    if not isinstance(model, str):
        raise ConfigurationError(f"the model must be named as 'provider/model', not by {value_text(model, 200)}")
    _check_choice("engine", engine, ("auto", "direct", "litellm"))
    _check_choice("model_type", model_type, ("chat", "text", "responses"))


def checked_for_reasoning(model: str, sampling: dict[str, Any]) -> dict[str, Any]:
    """Return the sampling parameters of an LM, for OpenAI's reasoning models with their name of `max_tokens`.

    Raises:
        LMConfigurationError: Such a model does not take the temperature, or would use the tokens up while it reasons.
    """
    if not _REASONS.match(model.rpartition("/")[2].lower()):
        return sampling
    temperature, limit = sampling.get("temperature"), sampling.pop("max_tokens", None)
    if temperature and temperature != 1:
        message = f"{model} takes no temperature but 1.0, not {temperature!r}; leave it out"
        raise LMConfigurationError(message, model=model)
    if limit and limit < _LEAST_FOR_REASONING:
        raise LMConfigurationError(
            f"max_tokens={limit!r} may be used up before {model} has done reasoning: leave it out, give "
            f"{_LEAST_FOR_REASONING} or more, or set a lower limit on purpose with max_completion_tokens={limit!r}",
            model=model,
        )
    return sampling if limit is None else {**sampling, "max_completion_tokens": limit}


def _check_choice(name: str, given: Any, choices: Sequence[str]) -> None:
    if given not in choices:
        raise ConfigurationError(f"unknown {name} {given!r}; use one of: {', '.join(map(repr, choices))}")
