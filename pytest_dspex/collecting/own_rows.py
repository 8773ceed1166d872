"""The row of a test that has parameters of its own in place of a dataset. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dspex_core import ConfigurationError, Example
from dspex_core.plugin_api import value_text
from pytest_dspex.collecting.case import ATTEMPT

if TYPE_CHECKING:
    import pytest


def parameters_as_row(item: pytest.Function) -> Example | None:
    """Return the parameter `example` of a test, or else all of its parameters; `None` without any.

    Raises:
        ConfigurationError: The parameter `example` has no named fields.
    """
    callspec = getattr(item, "callspec", None)  # of parametrized functions
    params = dict(callspec.params) if callspec is not None else {}
    params.pop(ATTEMPT, None)
    given = params.get("example")
    if isinstance(given, Example):
        return given
    if isinstance(given, Mapping):
        return Example(given)
    if given is not None:
        raise ConfigurationError(
            f"{item.nodeid} uses the fixture `prediction`, and its parameter `example` is {value_text(given, 200)}: "
            "it must be an Example or a dict, as the program gets its inputs from it"
        )
    return Example(params) if params else None
