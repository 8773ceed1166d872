"""What makes the scores of a test: its code, its metrics, and the functions of the project that these use.

A baseline is comparable only as long as scores are measured in the same way. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import ast
import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Any

from dspex_core.plugin_api import UsedCode, code_text
from pytest_dspex.running.scoring_calls import scoring_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def measure_texts(
    function: Callable[..., Any],
    metrics: Iterable[Callable[..., Any]],
    *,
    fixtures: Mapping[str, Any],
    data_text: Callable[[Any], str],
) -> list[str]:
    """Return the texts on which the scores of a test depend, its program aside.

    Args:
        function: The test function.
        metrics: The metrics that are computed for it.
        fixtures: The values of its fixtures that are not programs.
        data_text: Returns any value as a text that is the same in every process.
    """
    measures = UsedCode(data_text)
    for metric in metrics:
        measures.add(metric)
    found = inspect.unwrap(function)
    if isinstance(found, FunctionType):
        names = {**found.__globals__, **fixtures}
        for call in scoring_calls(found):
            value = _resolved(call, names)
            if callable(value):
                measures.add(value)
    return [code_text(function), *(text for _, text in measures.parts)]


def _resolved(expression: ast.expr, names: Mapping[str, Any]) -> Any:
    """Return what a name, or the attribute of one, stands for; `None` if that is not known."""
    if isinstance(expression, ast.Name):
        return names.get(expression.id)
    if isinstance(expression, ast.Attribute):
        holder = _resolved(expression.value, names)
        return None if holder is None else inspect.getattr_static(holder, expression.attr, None)
    return None
