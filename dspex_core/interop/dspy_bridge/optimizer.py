"""An optimizer of DSPy as one of ours. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import copy
import functools
import inspect
import logging
from typing import TYPE_CHECKING, Any

from dspex_core.example import Prediction
from dspex_core.interop.dspy_bridge.conversion import to_dspy
from dspex_core.interop.dspy_bridge.library import library
from dspex_core.interop.dspy_bridge.lm import as_dspy_lm
from dspex_core.interop.dspy_bridge.program import DspyProgram, bridged
from dspex_core.interop.dspy_bridge.values import adopted_example, dspy_example, our_prediction
from dspex_core.lm.base import BaseLM
from dspex_core.metrics.score import Score, as_score
from dspex_core.optimizers.contract import Optimizer
from dspex_core.plain.display import value_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex_core.optimizers.demos import Student
    from dspex_core.optimizers.run import Run

_log = logging.getLogger("dspex")
_WITH_FEEDBACK = frozenset({"GEPA", "SIMBA"})  # they read a metric's feedback; the others add its scores up


class DspyOptimizer(Optimizer):
    """An optimizer of DSPy where one of ours is expected: its result is scored, accepted and stored like ours.

    Its LM calls go through the LM of our settings, unless DSPy has one. A program of ours is converted for it, and so
    are our metrics and LMs that it holds.

    Args:
        optimizer: The `dspy.Teleprompter`; each `compile` uses a copy of it.
    """

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        own = vars(optimizer)
        self.metric = next((value for name, value in own.items() if _is_metric(name, value)), own.get("metric"))
        self.seed = own.get("seed") or 0

    def _compile(self, run: Run[Student]) -> Student:
        student = run.student
        optimizer, arguments = _for_dspy(self.optimizer), self._arguments(run)
        module = student.module.deepcopy() if isinstance(student, DspyProgram) else to_dspy(student)
        if "seed" in vars(optimizer) and run.seed != self.seed:
            optimizer.seed = run.seed
        with bridged({}):
            compiled = optimizer.compile(module, **arguments)
        if not isinstance(compiled, library().Module):
            raise run.failure(f"its compile returned {value_text(compiled, 200)}, which is not a program of DSPy")
        made = DspyProgram(compiled)
        if _paths(made) != _paths(student):
            raise run.failure(f"its compile returned other predictors: {', '.join(sorted(_paths(made)))}")
        if isinstance(student, DspyProgram):
            return made  # type: ignore[return-value]  # the student's own kind
        program, state = student.deepcopy(), made.dump_state()
        program.load_state(state.get("self", state))
        return program

    def _arguments(self, run: Run[Student]) -> dict[str, Any]:
        """Return what `compile` gets beside the program: only what this optimizer takes.

        Raises:
            OptimizationError: It takes no trainset, or needs more than an optimizer of ours does.
        """
        compile_ = self.optimizer.compile
        known = inspect.signature(compile_).parameters
        given: dict[str, Any] = {"trainset": [dspy_example(row) for row in run.trainset]}
        if run.valset is not None:
            given["valset"] = [dspy_example(row) for row in run.valset]
        if run.teacher is not None:
            teacher = run.teacher
            given["teacher"] = teacher.module if isinstance(teacher, DspyProgram) else to_dspy(teacher)
        if run.seed != self.seed and "seed" not in vars(self.optimizer):
            given["seed"] = run.seed
        if "eval_kwargs" in known:
            given["eval_kwargs"] = {}
        takes_all = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values())
        unused = [name for name in given if name not in known and not takes_all]
        if "trainset" in unused or type(self.optimizer).compile is library().teleprompt.Teleprompter.compile:
            raise run.failure("its compile takes no trainset, so no program can be compiled on examples by it")
        for name in unused:
            _log.warning("dspy.%s takes no %s: it is not used", type(self.optimizer).__name__, name)
            del given[name]
        try:
            inspect.signature(compile_).bind(run.student, **given)
        except TypeError as error:
            raise run.failure(f"its compile cannot be called with a program and {', '.join(given)}: {error}") from error
        return given

    def get_params(self) -> dict[str, Any]:
        """Return the options with which the optimizer was made."""
        own = vars(self.optimizer)
        names = [name for name in inspect.signature(type(self.optimizer).__init__).parameters if name in own]
        metric = {} if self.metric is None else {"metric": self.metric}
        return {**metric, **{name: own[name] for name in names}}


def adopted_optimizer(optimizer: Any) -> DspyOptimizer:
    """Return a `dspy.Teleprompter` as an optimizer of ours, which files and messages call by its own name."""
    library()  # not an alias of ours
    kind = type(f"dspy.{type(optimizer).__name__}", (DspyOptimizer,), {"__module__": __name__})
    adopted: DspyOptimizer = kind(optimizer)
    return adopted


def _paths(program: Any) -> set[str]:
    return {path for path, _ in program.every_predictor()}


def _is_metric(name: str, value: Any) -> bool:
    """Whether an attribute or an option of an optimizer is its metric: `metric`, or `metric_fn` as in `dspy.GEPA`."""
    return name.startswith("metric") and callable(value)


def _for_dspy(value: Any, *, name: str = "", with_feedback: bool = False) -> Any:
    """Return an optimizer, or what one holds, with our metrics and LMs as DSPy's, also in optimizers that it holds."""
    if isinstance(value, BaseLM):
        return as_dspy_lm(value)
    if _is_metric(name, value):
        return _metric_for_dspy(value, with_feedback=with_feedback)
    if type(value) is dict:
        return {key: _for_dspy(held, name=str(key), with_feedback=with_feedback) for key, held in value.items()}
    if isinstance(value, library().teleprompt.Teleprompter):
        clone, reads = copy.copy(value), any(kind.__name__ in _WITH_FEEDBACK for kind in type(value).__mro__)
        vars(clone).update({key: _for_dspy(held, name=key, with_feedback=reads) for key, held in vars(value).items()})
        return clone
    return value


def _metric_for_dspy(metric: Callable[..., Any], *, with_feedback: bool) -> Callable[..., Any]:
    """Return a metric whose scores DSPy can add up; one of ours gets our examples and predictions."""
    is_ours = type(metric).__module__.partition(".")[0] == "dspex_core"

    @functools.wraps(metric, updated=())
    def scored(example: Any, prediction: Any, *more: Any, **named: Any) -> Any:
        if is_ours:
            example, prediction = adopted_example(example), our_prediction(prediction)
        result = metric(example, prediction, *more, **named)
        if not isinstance(result, Score | Prediction):
            return result
        score = as_score(result)
        if with_feedback and score.feedback:
            return library().Prediction(score=float(score), feedback=score.feedback)
        return float(score)

    return scored
