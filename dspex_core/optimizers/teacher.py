"""A program that shows another how it is done. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.config import context
from dspex_core.errors import BudgetExceededError
from dspex_core.optimizers.demos import own_fields

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from dspex_core.config.contracts import Trace
    from dspex_core.example import Example, Prediction
    from dspex_core.optimizers.demos import Demo
    from dspex_core.programs.base import Module
    from dspex_core.signatures.signature import Signature

    Show = Callable[[Example, int], dict[str, Demo] | None]


class Teacher:
    """A program that shows how it is done; it is set up anew for each example."""

    def __init__(self, program: Module, settings: Mapping[str, Any], rng: random.Random) -> None:
        self._program = program
        self._settings = settings
        self._rng = rng
        self._states = [(predictor, predictor.demos, predictor.config) for predictor in program.predictors()]
        if "lm" in settings:
            program.set_lm(settings["lm"])

    def run(self, example: Example, number: int) -> tuple[Prediction, Trace]:
        """Solve an example without having seen it; `number` counts the tries before this one."""
        again = {"temperature": 1.0, "rollout_id": number} if number else {}
        for predictor, demos, config in self._states:
            predictor.demos = [demo for demo in demos if not _same_inputs(predictor.signature, demo, example)]
            predictor.config = {**config, **again}
        trace: Trace = []
        with context(**{**self._settings, "trace": trace}):
            return self._program(**example.inputs()), trace

    def demos(self, trace: Trace) -> dict[str, Demo]:
        """Make a demo of what each predictor did, by its path.

        Of one that ran several times it is the last run or, half of the time, one of the others.
        """
        runs: dict[int, list[Demo]] = {}
        for predictor, inputs, prediction in trace:
            demo = own_fields(predictor.signature, {**inputs, **prediction})
            runs.setdefault(id(predictor), []).append(demo)
        named = self._program.named_predictors()
        return {path: self._one(runs[id(predictor)]) for path, predictor in named if id(predictor) in runs}

    def _one(self, demos: list[Demo]) -> Demo:
        *others, last = demos
        return self._rng.choice([last, self._rng.choice(others)]) if others else last


class Remembered:
    """Solves each example once for all who ask for it.

    Args:
        show: Solves an example for the n-th time.
    """

    def __init__(self, show: Show) -> None:
        self._show = show
        self._known: dict[tuple[int, int], dict[str, Demo] | Exception | None] = {}

    def __call__(self, example: Example, number: int) -> dict[str, Demo] | None:
        """Return the demos of then, or raise the error of then."""
        key = (id(example), number)  # examples may be equal and not hashable; the trainset keeps them alive
        if key not in self._known:
            try:
                self._known[key] = self._show(example, number)
            except BudgetExceededError:
                raise
            except Exception as error:  # noqa: BLE001  one example's failure is counted by each who asks for it
                self._known[key] = error
        known = self._known[key]
        if isinstance(known, Exception):
            raise known
        return known


def _same_inputs(signature: type[Signature], demo: Mapping[str, Any], example: Example) -> bool:
    fields = signature.input_fields
    return [demo.get(name) for name in fields] == [example.get(name) for name in fields]
