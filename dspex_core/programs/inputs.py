"""Which inputs a program takes, and whether it has to be awaited. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.flow.steps import is_async
from dspex_core.programs.base import Module
from dspex_core.programs.predict import Predict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def input_names(program: Callable[..., Any]) -> frozenset[str]:
    """Return the inputs of a program's predictors, or its parameters where it is a function.

    A module with a `forward` or `aforward` that names its parameters takes these.

    Raises:
        ConfigurationError: The parameters of the program do not say what its inputs are.
    """
    named = _parameters(_body(program))
    if named is not None:
        return named
    if isinstance(program, Module):
        found = {name for _, part in program.every_predictor() for name in part.signature.input_fields}
        if found:
            return frozenset(found)
    raise ConfigurationError(
        f"{program!r} takes any fields, so it is not known which of a row are inputs: "
        "give Example(row).with_inputs('name', ...)"
    )


def missing_inputs(program: Module, given: Collection[str]) -> list[str]:
    """Return the inputs that a program cannot do without and that are not among those given, as far as can be known.

    Known are those of a `forward` that names its parameters, and those of a program that is one predictor.
    """
    try:
        parameters = inspect.signature(_body(program)).parameters.values()
    except (TypeError, ValueError):  # of some callables that are written in C
        return []
    required = [one.name for one in parameters if one.default is one.empty and one.kind in _NAMED]
    if isinstance(program, Predict):
        fields = program.signature.input_fields.items()
        required = [name for name, field in fields if field.is_required() and not field.is_optional]
    return [name for name in required if name not in given]


def is_async_alone(function: Callable[..., Any]) -> bool:
    """Whether a program or a metric is async and has no sync form."""
    if isinstance(function, Module):
        kind = type(function)
        return kind.forward is Module.forward and kind.aforward is not Module.aforward
    return is_async(function)


def _body(program: Callable[..., Any]) -> Callable[..., Any]:
    if not isinstance(program, Module):
        return program
    if (other := program.parameters_of_call()) is not None:
        return other
    return program.forward if type(program).forward is not Module.forward else program.aforward


def _parameters(function: Callable[..., Any]) -> frozenset[str] | None:
    """Return the names of the parameters; `None` if any name is taken, or they are not known."""
    try:
        parameters = tuple(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # of some callables that are written in C
        return None
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return frozenset(one.name for one in parameters if one.kind is not inspect.Parameter.VAR_POSITIONAL)
