"""What an evaluation is of: its program, LM, metric and rows, so that a journal is not continued with others.

Code is compared with all of the project that it uses by name. Words and numbers are, too, but for those that the code
itself assigns while it runs, such as counters. Collections count in frozen dataclasses; all others that a program
or a function holds may well change while it runs. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import fields, is_dataclass
from functools import partial
from types import FunctionType, NoneType
from typing import TYPE_CHECKING, Any

from dspex_core.config import current
from dspex_core.example import Example
from dspex_core.plain.described import code_digest, described, short_digest
from dspex_core.plain.secrets import is_private, without_secrets
from dspex_core.plain.stored_values import is_plain, stored
from dspex_core.plain.used_code import UsedCode
from dspex_core.programs.base import Module
from dspex_core.programs.saving.run_code import run_code
from dspex_core.programs.saving.source import source_of
from dspex_core.programs.saving.tree import attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from dspex_core.config.contracts import LanguageModel
    from dspex_core.evaluation.run import CaseRun

Json = dict[str, Any]

_LINES_SHOWN = 6
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode  # made once, not for each row
_KEPT = (str, bool, int, float, NoneType, type, FunctionType, partial)  # of the attributes of a module


def fingerprint_of(run: CaseRun, lm: LanguageModel | None) -> Json:
    """Return what makes the results of two runs comparable, as JSON data."""
    return {"program": _callable_data(run.program), "metric": _metric_data(run.metric), "lm": _lms(run.program, lm)}


def row_digest(example: Any) -> str:
    """Return a hash of a row: its fields and which of them are inputs."""
    fields = dict(example.items()) if hasattr(example, "items") else example.inputs()
    data = [fields if is_plain(fields) else _stable(fields)]
    if isinstance(example, Example):
        data.append(sorted(example.input_keys))
    return hashlib.blake2b(_encode(data).encode(), digest_size=6).hexdigest()


def rows_data(digests: Iterable[str]) -> Json:
    """Return the number and the hash of all rows."""
    rows = list(digests)
    return {"n": len(rows), "digest": short_digest(rows)}


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return how two fingerprints differ, a text for each part."""
    return [
        f"another {'LM' if name == 'lm' else name}{_diff(then.get(name), now[name])}"
        for name in now
        if then.get(name) != now[name]
    ]


def lm_data(lm: LanguageModel) -> Json:
    """Return the model and the sampling parameters of an LM."""
    config = described(without_secrets(dict(lm.config), is_private))
    return {"class": type(lm).__name__, "model": lm.model, **({"config": config} if config else {})}


def _stable(value: Any) -> Any:
    try:
        return stored(value, described)
    except ValueError:  # it holds itself
        return described(value)


def _lms(program: Callable[..., Any], default: LanguageModel | None) -> Json:
    parts = program.every_predictor() if isinstance(program, Module) else []
    own = {path: lm_data(predictor.lm) for path, predictor in parts if predictor.lm is not None}
    return {**({} if default is None else lm_data(default)), **({"own": own} if own else {})}


def _callable_data(function: Callable[..., Any]) -> Any:
    if isinstance(function, Module):
        return _module_data(function)
    used = UsedCode()
    used.add(function)
    return _lasting(described(function, _special), used.assigned)


def _metric_data(metric: Callable[..., Any]) -> Any:
    """Return a metric as data; that of a judge with the LMs that judge, where these are not the program's."""
    data = _callable_data(metric)
    lms = _lms(metric, current().judge_lm) if isinstance(metric, Module) else {}
    return {**data, "lm": lms} if lms else data


def _special(value: Any) -> Any:
    """Return the data of modules, of frozen values and of bound arguments: what they hold stays as it is."""
    if isinstance(value, Module):
        return _module_data(value)
    if isinstance(value, partial):
        arguments = {**{str(place): each for place, each in enumerate(value.args)}, **value.keywords}
        return {"partial": described(value.func, _special), "arguments": described(arguments, _special)}
    if _is_frozen(value):
        compared = {field.name: getattr(value, field.name, None) for field in fields(value) if field.compare}
        code = {"code": code_digest(type(value))} if callable(value) else {}
        return {"class": type(value).__name__, **code, **_without_lists(described(compared, _special))}
    return NotImplemented


def _without_lists(data: Any) -> Any:
    """Return data with the items of lists by their places, so that they count."""
    if isinstance(data, list):
        data = {str(place): item for place, item in enumerate(data)}
    return {name: _without_lists(item) for name, item in data.items()} if isinstance(data, dict) else data


def _module_data(value: Module) -> Json:
    code = run_code(value)
    own = {path: _lasting(described(_own(part), _special), code.assigned) for path, part in value.named_modules()}
    return {
        "class": type(value).__name__,
        "source": source_of(value),
        "state": {path: described(part.dump_state()) for path, part in value.every_predictor()},
        "values": own,
    }


def _own(module: Module) -> Json:
    """Return the attributes of a module that are not modules themselves, or about its calls."""
    aside = {"callbacks", "history", "signature", "demos", "config", "lm", "demo_selector"}
    return {
        name: value
        for name, value in attributes(module).items()
        if name[:1] != "_" and name not in aside and (isinstance(value, _KEPT) or _is_frozen(value))
    }


def _is_frozen(value: Any) -> bool:
    return (
        is_dataclass(value) and not isinstance(value, type) and bool(vars(type(value))["__dataclass_params__"].frozen)
    )


def _lasting(data: Any, assigned: AbstractSet[str]) -> Any:
    """Return a description without what may change while a program runs: what it assigns, and what collections hold."""
    if isinstance(data, dict):
        kept = {name: _lasting(value, assigned) for name, value in data.items() if name not in assigned}
        return {name: value for name, value in kept.items() if value is not None}
    return data if isinstance(data, str | bool | int | float) else None


def _diff(then: Any, now: Any) -> str:
    """Return the lines of two parts that differ."""
    old, new = (json.dumps(part, indent=0, sort_keys=True, ensure_ascii=False).splitlines() for part in (then, now))
    lines = [line for line in difflib.unified_diff(old, new, n=0, lineterm="") if line[:2] not in ("--", "++", "@@")]
    shown = "".join(f"\n    {line:.200}" for line in lines[:_LINES_SHOWN])
    more = len(lines) - _LINES_SHOWN
    return f" (- then, + now):{shown}" + (f"\n    and {more} more lines" if more > 0 else "")
