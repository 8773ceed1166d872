"""Inputs that a signature takes, by its types and constraints. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from dspex_core import ConfigurationError, History, Signature
from pytest_dspex.strategies.values import NoStrategyError, values

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from dspex_core.plugin_api import SignatureField


def inputs(signature: type[Signature] | str, /, **given: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    """Return a strategy of inputs, as `program(**inputs)` takes them.

    Inputs with a default are sometimes left out.

    Args:
        signature: The signature, or its text such as `"question, k: int -> answer"`.
        given: The strategies of some inputs, by name; those of the others come from their types and constraints.

    Raises:
        ConfigurationError: The signature has no input of a given name, or the type of an input has no strategy.
    """
    kind = Signature(signature) if isinstance(signature, str) else signature
    fields = kind.input_fields
    unknown = sorted(given.keys() - fields.keys())
    if unknown:
        raise ConfigurationError(
            f"inputs(...) has a strategy for {unknown[0]!r}, which is not an input of {kind.__name__}; "
            f"its inputs: {', '.join(fields)}"
        )
    drawn = {name: given[name] if name in given else _values_of(field, kind) for name, field in fields.items()}
    required = {name: strategy for name, strategy in drawn.items() if fields[name].is_required()}
    optional = {name: strategy for name, strategy in drawn.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional)


def _values_of(field: SignatureField, signature: type[Signature]) -> SearchStrategy[Any]:
    if field.bare is History:
        return _histories(signature)
    try:
        return values(field.annotation, field.constraints).filter(lambda value: _fits(field, value))
    except NoStrategyError as error:
        raise ConfigurationError(
            f"the input {field.name!r} has a type without a strategy ({error}); give one: "
            f"inputs({field.name}=hypothesis.strategies...)"
        ) from error


def _histories(signature: type[Signature]) -> SearchStrategy[History]:
    """Return conversations of up to two turns, each with a value of every other field."""
    others = {
        name: _values_of(field, signature) for name, field in signature.fields.items() if field.bare is not History
    }
    return st.lists(st.fixed_dictionaries(others), max_size=2).map(lambda turns: History(messages=turns))


def _fits(field: SignatureField, value: Any) -> bool:
    try:
        field.validate(value)
    except ValueError:
        return False
    return True
