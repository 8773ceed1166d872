"""What can be said against the arguments of a `compile` before it asks anybody. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dspex_core.datasets.checks import problem_of
from dspex_core.datasets.leaks import overlap
from dspex_core.errors import BudgetExceededError
from dspex_core.plain.counts import is_number
from dspex_core.plain.display import value_text
from dspex_core.programs.base import Module
from dspex_core.programs.inputs import missing_inputs
from dspex_core.spending.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dspex_core.example import Example

_log = logging.getLogger("dspex")


def problem_with(*, teacher: Any, budget: Any, journal: Any, margin: Any) -> str | None:
    """Return why arguments beside the program and the examples cannot be used, or `None`."""
    if teacher is not None and not isinstance(teacher, Module):
        return _no_program(teacher)
    if budget is not None and not isinstance(budget, Budget):
        return (
            f"the budget must be a Budget, such as Budget(calls={value_text(budget, 20)}), not "
            f"{value_text(budget, 200)}"
        )
    if journal is not None and not isinstance(journal, str | os.PathLike):
        return f"the journal must be the path of a file, not {value_text(journal, 200)}"
    if not (is_number(margin) and 0 <= margin < math.inf):
        return f"the margin must be a number of standard errors from 0 on, not {value_text(margin, 200)}"
    return None


def problem_with_options(metric: Any, num_threads: Any, max_errors: Any, *, needs_metric: bool) -> str | None:
    """Return why the options that optimizers share cannot be used, or `None`."""
    if metric is None and needs_metric:
        return "it needs a metric to choose between programs: pass metric=..."
    if metric is not None and not callable(metric):
        return f"the metric must be a function or a program, not {value_text(metric, 200)}"
    for name, value, least in (("num_threads", num_threads, 1), ("max_errors", max_errors, 0)):
        if value is not None and not (is_number(value) and value >= least):
            return f"{name} must be a number from {least} on, not {value_text(value, 200)}"
    if isinstance(num_threads, float):
        return f"num_threads must be a whole number, not {num_threads!r}"
    return None


def problem_of_sets(student: Any, sets: dict[str, Any], *, needs_inputs: bool) -> str | None:
    """Return why a program or its examples cannot be used, or `None`."""
    if not isinstance(student, Module):
        fix = "make one of it: Predict(...), or a class with `forward` that derives from Module"
        return f"the student must be a program, not {value_text(student, 200)}; {fix}"
    return next(_problems(sets, needs_inputs=needs_inputs), None) or (
        next(_unfit(student, sets), None) if needs_inputs else None
    )


def problem_of_teacher(student: Module, teacher: Any) -> str | None:
    """Return why what a teacher's predictors do cannot be shown to those of the student, or `None`."""
    if not isinstance(teacher, Module):
        return _no_program(teacher)
    asked, offered = (
        {path: each.signature.signature for path, each in of.named_predictors()} for of in (student, teacher)
    )
    if asked == offered:
        return None
    return f"the teacher must have the student's predictors, {asked!r}, but has {offered!r}"


def _no_program(teacher: Any) -> str:
    return f"the teacher must be a program, not {value_text(teacher, 200)}"


def _problems(sets: dict[str, Any], *, needs_inputs: bool) -> Iterator[str]:
    for role, examples in sets.items():
        if not isinstance(examples, Sequence) or isinstance(examples, str):
            yield (
                f"the {role} must be a list of examples, which can be read more than once, not "
                f"{value_text(examples, 200)}"
            )
        elif reason := problem_of(examples, role, needs_inputs=needs_inputs):
            yield reason


def _unfit(student: Module, sets: dict[str, Any]) -> Iterator[str]:
    """Yield why no row of a set can be run. Some that cannot are counted as failures of their runs."""
    for role, examples in sets.items():
        missing = [missing_inputs(student, example.inputs().keys()) for example in examples]
        if all(missing):
            has = ", ".join(map(repr, examples[0].inputs().keys()))
            lacks = ", ".join(map(repr, missing[0]))
            yield f"no row of the {role} has all inputs that the student needs: row 1 has {has}, and lacks {lacks}"


def warn_of_shared(trainset: Sequence[Example], valset: Sequence[Example]) -> None:
    """Log a warning where examples of the valset are in the trainset, too."""
    shared = overlap(valset, trainset)
    if shared:
        _log.warning(
            "%d of the %d examples of the valset are in the trainset, too: what is learned from them scores too high",
            *(len(shared), len(valset)),
        )


def warn_without_demos(program: Module, trainset: Sequence[Example]) -> None:
    """Log a warning where labels gave no predictor any demo."""
    if not any(predictor.demos for predictor in program.predictors()):
        _log.warning(
            "none of the %d examples gives any predictor of %s a demo: a demo needs one of its inputs and one of its"
            " outputs; the first has %s",
            *(len(trainset), type(program).__name__, ", ".join(map(repr, trainset[0].keys()))),
        )


def is_refusal(error: BaseException) -> bool:
    """Whether an error is a budget's refusal, or follows from one, as that of an evaluation does."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, BudgetExceededError):
        seen = seen.__cause__
    return seen is not None
