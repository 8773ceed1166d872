"""Prompts as text, and how two of them differ. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from pytest_dspex.optimizing.results import PromptChange
from pytest_dspex.reports.shown import shown_briefly

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dspex_core import Module
    from dspex_core.plugin_api import Predictor

_SHOWN = 40  # lines of a diff


def prompt_changes(before: Module, after: Module) -> tuple[PromptChange, ...]:
    """Return each predictor whose prompt differs; both programs have the same predictors."""
    old, new = _texts(before), _texts(after)
    return tuple(PromptChange(path, old.get(path, ""), text) for path, text in new.items() if old.get(path) != text)


def diff_lines(changes: Iterable[PromptChange]) -> list[str]:
    """Return how the prompts differ, as lines that begin with `-` or `+` below each predictor's name."""
    lines = [line for change in changes for line in _diff(change)]
    rest = len(lines) - _SHOWN
    return [*lines[:_SHOWN], *([f"  ... and {rest} more lines"] if rest > 0 else [])]


def _diff(change: PromptChange) -> Iterator[str]:
    yield f"  {change.predictor}"
    for line in difflib.ndiff(change.before.splitlines(), change.after.splitlines()):
        if line[0] in "-+":
            yield f"  {shown_briefly(line)}"


def _texts(program: Module) -> dict[str, str]:
    return {path: "\n".join(_lines(predictor)) for path, predictor in program.every_predictor()}


def _lines(predictor: Predictor) -> Iterator[str]:
    yield from predictor.signature.instructions.splitlines()
    for name, field in predictor.signature.fields.items():
        yield f"{name}: {field.desc}" if field.desc else name
        if field.choices:
            yield f"{name} chooses from {', '.join(map(str, field.shown_choices()))}"
    if predictor.adapter is not None:
        yield f"adapter: {predictor.adapter!r}"
    yield from (f"{name} = {value!r}" for name, value in sorted(predictor.config.items()))
    if predictor.demo_selector is not None:
        yield f"each call shows some of {len(predictor.demos)} demos"
    for demo in predictor.demos:
        yield f"demo: {' | '.join(f'{name}={demo[name]!r}' for name in predictor.signature.fields if name in demo)}"
