"""Training examples for an LM's weights, in the chat form of OpenAI's API. PYTEST_DONT_REWRITE

{"messages": [{"role": "system", "content": "..."}, {"role": "user", ...}, {"role": "assistant", ...}]}
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dspex_core.config import current
from dspex_core.errors import ConfigurationError
from dspex_core.programs.predict import adapter_of
from dspex_core.storage.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from dspex_core.adapters.base import Adapter
    from dspex_core.config.contracts import LanguageModel
    from dspex_core.evaluation.case import CaseResult
    from dspex_core.programs.base import Module

Row = dict[str, Any]


@dataclass(frozen=True)
class TrainingData:
    """What one LM is to learn.

    Args:
        lm: The LM; `None` where the settings have none.
        predictors: The paths of the predictors whose calls are in it.
        rows: The training examples.
        path: The file that has them.
    """

    lm: LanguageModel | None
    predictors: tuple[str, ...]
    rows: Sequence[Row] = field(repr=False)
    path: Path

    def write(self) -> None:
        """Write the rows as JSON lines, all of them or none.

        Raises:
            ConfigurationError: The file cannot be written.
        """
        lines = (json.dumps(row, ensure_ascii=False) for row in self.rows)
        try:
            write_atomically(self.path, "".join(f"{line}\n" for line in lines))
        except OSError as error:
            raise ConfigurationError(
                f"{self.path}: cannot be written: {error.strerror}; give another folder="
            ) from error


def groups(program: Module, *, multitask: bool) -> list[tuple[LanguageModel | None, tuple[str, ...]]]:
    """Return which predictors are trained together: those with one LM (`multitask`), else each by itself."""
    found: dict[tuple[int, str], tuple[LanguageModel | None, list[str]]] = {}
    for path, predictor in program.named_predictors():
        lm = predictor.lm or current().lm
        found.setdefault((id(lm), "" if multitask else path), (lm, []))[1].append(path)
    return [(lm, tuple(paths)) for lm, paths in found.values()]


def rows_of(
    cases: Iterable[CaseResult], program: Module, paths: Sequence[str], *, adapter: Adapter | None, with_demos: bool
) -> list[Row]:
    """Return a row for each call of some predictors: the prompt of the program that learns, and the answer."""
    predictors = {path: each for path, each in program.named_predictors() if path in paths}
    rows = []
    for case in cases:
        for step in case.trace:
            predictor = predictors.get(step.predictor)
            if predictor is None:
                continue
            writer = adapter or adapter_of(predictor)
            demos = predictor.demos if with_demos else ()
            outputs = dict(step.outputs.items())
            if all(name in outputs for name in predictor.signature.output_fields):
                rows.append(_row(writer, predictor.signature, demos, step.inputs, outputs))
    return rows


def file_name(lm: LanguageModel | None, paths: Sequence[str], *, multitask: bool) -> str:
    """Return the name of a file of training examples."""
    model = "lm" if lm is None else lm.model
    words = [model] if multitask else [model, *paths]
    return "-".join(re.sub(r"[^\w.]+", "-", word).strip("-") for word in words) + ".jsonl"


def _row(
    adapter: Adapter, signature: Any, demos: Sequence[Any], inputs: Mapping[str, Any], outputs: Mapping[str, Any]
) -> Row:
    return adapter.format_finetune_data(signature, list(demos), dict(inputs), outputs)
