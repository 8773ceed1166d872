"""An optimizer of DSPy as one of ours. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import copy
import functools
import inspect
import logging
from typing import TYPE_CHECKING, Any

from dspex_core.interop.dspy_bridge.conversion import to_dspy
from dspex_core.interop.dspy_bridge.library import library
from dspex_core.interop.dspy_bridge.program import DspyProgram, bridged
from dspex_core.interop.dspy_bridge.values import adopted_example, dspy_example, our_prediction
from dspex_core.metrics.score import Score
from dspex_core.optimizers.contract import Optimizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex_core.optimizers.demos import Student
    from dspex_core.optimizers.run import Run

_log = logging.getLogger("dspex")


class DspyOptimizer(Optimizer):
    """An optimizer of DSPy where one of ours is expected: its result is scored, accepted and stored like ours.

    Its LM calls go through the LM of our settings, unless DSPy has one. A program of ours is converted for it.

    Args:
        optimizer: The `dspy.Teleprompter`; each `compile` uses a copy of it.
    """

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self.metric = vars(optimizer).get("metric")

    def _compile(self, run: Run[Student]) -> Student:
        optimizer = copy.copy(self.optimizer)
        if self.metric is not None:
            optimizer.metric = _for_dspy(self.metric)
        student = run.student
        module = student.module.deepcopy() if isinstance(student, DspyProgram) else to_dspy(student)
        with bridged({}):
            compiled = optimizer.compile(module, **self._arguments(run))
        made = DspyProgram(compiled)
        if isinstance(student, DspyProgram):
            return made  # type: ignore[return-value]  # the student's own kind
        program, state = student.deepcopy(), made.dump_state()
        program.load_state(state.get("self", state))
        return program

    def _arguments(self, run: Run[Student]) -> dict[str, Any]:
        """Return what `compile` gets beside the program: only what this optimizer takes."""
        known = inspect.signature(self.optimizer.compile).parameters
        given: dict[str, Any] = {"trainset": [dspy_example(row) for row in run.trainset]}
        if run.valset is not None:
            given["valset"] = [dspy_example(row) for row in run.valset]
        if run.teacher is not None:
            teacher = run.teacher
            given["teacher"] = teacher.module if isinstance(teacher, DspyProgram) else to_dspy(teacher)
        if "eval_kwargs" in known:
            given["eval_kwargs"] = {}
        takes_all = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values())
        unused = [name for name in given if name not in known and not takes_all]
        for name in unused:
            _log.warning("dspy.%s takes no %s: it is not used", type(self.optimizer).__name__, name)
        return {name: value for name, value in given.items() if name not in unused}

    def get_params(self) -> dict[str, Any]:
        """Return the options with which the optimizer was made."""
        own = vars(self.optimizer)
        names = [name for name in inspect.signature(type(self.optimizer).__init__).parameters if name in own]
        return {name: own[name] for name in names}


def adopted_optimizer(optimizer: Any) -> DspyOptimizer:
    """Return a `dspy.Teleprompter` as an optimizer of ours, which files and messages call by its own name."""
    library()  # not an alias of ours
    kind = type(f"dspy.{type(optimizer).__name__}", (DspyOptimizer,), {"__module__": __name__})
    adopted: DspyOptimizer = kind(optimizer)
    return adopted


def _for_dspy(metric: Callable[..., Any]) -> Callable[..., Any]:
    """Return a metric whose scores DSPy can add up; one of ours gets our examples and predictions."""
    is_ours = type(metric).__module__.partition(".")[0] == "dspex_core"

    @functools.wraps(metric, updated=())
    def scored(example: Any, prediction: Any, *more: Any, **named: Any) -> Any:
        if is_ours:
            example, prediction = adopted_example(example), our_prediction(prediction)
        result = metric(example, prediction, *more, **named)
        return float(result) if isinstance(result, Score) else result

    return scored
