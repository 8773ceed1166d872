"""Options of a wrong kind, found before anybody uses them. PYTEST_DONT_REWRITE

The kinds are those that the signature of an optimizer declares: `int | None`, `float`, `Mapping[str, Any]`. Names that
are not listed here, such as `Metric`, take any value.
"""

from __future__ import annotations

import ast
import inspect
import math
import numbers
import operator
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from dspex_core.optimizers.proposers.contract import Proposer
from dspex_core.optimizers.search.dimensions import PromptDimensions
from dspex_core.plain.display import value_text


def wrong_kinds(declared: Callable[..., Any], values: Mapping[str, Any]) -> list[str]:
    """Return for each value that is not what a signature says, a text such as `k must be a whole number, not 'x'`.

    Numbers below the least that makes sense are among them, by the option's name, which means the same everywhere.
    """
    kinds = _declared_kinds(inspect.unwrap(getattr(declared, "__func__", declared)))
    found = []
    for name, value in values.items():
        words = [_KINDS[kind][0] for kind in kinds.get(name, ())]
        if words and not any(_KINDS[kind][1](value) for kind in kinds[name]):
            found.append(f"{name} must be {' or '.join(words)}, not {value_text(value, 200)}")
        elif words and name in _LEAST and value is not None and value < _LEAST[name]:
            found.append(f"{name} must be at least {_LEAST[name]}, not {value_text(value, 200)}")
    return found


@lru_cache(maxsize=64)
def _declared_kinds(declared: Callable[..., Any]) -> Mapping[str, tuple[str, ...]]:
    """Return the kinds of each parameter that has known ones only."""
    found = {}
    for name, parameter in inspect.signature(declared).parameters.items():
        if isinstance(parameter.annotation, str):
            kinds = tuple(_parts(ast.parse(parameter.annotation, mode="eval").body))
            if all(kind in _KINDS for kind in kinds):
                found[name] = kinds
    return found


def _parts(annotation: ast.expr) -> Iterator[str]:
    match annotation:
        case ast.BinOp(left=left, right=right):
            yield from _parts(left)
            yield from _parts(right)
        case ast.Subscript() if (text := ast.unparse(annotation)) in _KINDS:
            yield text
        case ast.Subscript(value=ast.Name(id=name)) | ast.Name(id=name):
            yield name
        case ast.Constant(value=None):
            yield "None"
        case _:
            yield ast.unparse(annotation)


def _is_whole(value: Any) -> bool:
    try:
        operator.index(value)
    except TypeError:
        return False
    return not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_truth(value: Any) -> bool:
    return value is None or (isinstance(value, int) and value in (0, 1))  # DSPy takes these, too


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _are_proposers(value: Any) -> bool:
    return _is_list(value) and all(isinstance(each, Proposer) and not isinstance(each, type) for each in value)


def _is_lm(value: Any) -> bool:
    return hasattr(value, "preferred_adapter") and not isinstance(value, type)


_KINDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "None": ("None", lambda value: value is None),
    "int": ("a whole number", _is_whole),
    "float": ("a number", _is_number),
    "bool": ("True or False", _is_truth),
    "str": ("a text", lambda value: isinstance(value, str)),
    "PathLike": ("a path", lambda value: isinstance(value, os.PathLike)),
    "Mapping": ("a mapping", lambda value: isinstance(value, Mapping)),
    "Sequence": ("a list", _is_list),
    "Sequence[Proposer]": ("a list of proposers, such as [Telling()]", _are_proposers),
    "Collection": ("a list", lambda value: isinstance(value, Collection) and not isinstance(value, str | bytes)),
    "PromptDimensions": ("a PromptDimensions", lambda value: isinstance(value, PromptDimensions)),
    "LanguageModel": ("an LM, such as LM('provider/model')", _is_lm),
    "Callable": ("a function", callable),
}

_LEAST: Mapping[str, int] = {
    "num_candidates": 1,
    "num_rules": 1,
    "depth": 1,
    "view_data_batch_size": 1,
    "max_bootstrapped_demos": 0,
    "max_labeled_demos": 0,
    "max_rounds": 1,
    "num_candidate_programs": 0,
    "instructions_per_proposer": 1,
    "stop_at_score": 0,
    "init_temperature": 0,
    "demo_input_field_maxlen": 0,
    "max_full_evals": 1,
    "max_metric_calls": 1,
    "reflection_minibatch_size": 1,
    "max_merge_invocations": 0,
    "poll": 0,
}
