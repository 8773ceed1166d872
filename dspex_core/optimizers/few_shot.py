"""Few-shot optimizers: demos from labels, and from what a teacher does right. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import itertools
import logging
import random
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from dspex_core.config import context, current
from dspex_core.example import Example
from dspex_core.flow.steps import Call
from dspex_core.metrics.metrics import as_score
from dspex_core.optimizers.contract import Optimizer, Student

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dspex_core.contracts import Trace
    from dspex_core.evaluation.evaluate import Metric
    from dspex_core.example import Prediction, Record
    from dspex_core.programs.base import Module
    from dspex_core.signatures.signature import Signature

    Demo = Example

_log = logging.getLogger("dspex")


@dataclass(frozen=True, repr=False)
class LabeledFewShot(Optimizer):
    """Gives each predictor `k` training examples as demos. It calls no LM.

    Args:
        k: How many demos a predictor gets; fewer when there are fewer.
        seed: Decides which ones, and in which order.
    """

    k: int = 16
    seed: int = 0
    metric: Metric | None = field(default=None, init=False)

    def compile(
        self,
        student: Student,
        *,
        trainset: Sequence[Example],
        valset: Sequence[Example] | None = None,
        teacher: Module | None = None,
        sample: bool = True,
    ) -> Student:
        """Return the student with demos; `valset` and `teacher` have no part in it.

        Args:
            student: The program to improve.
            trainset: The examples; a predictor takes its own fields of them, and passes over
                those that have none of its inputs or none of its outputs.
            valset: Not used.
            teacher: Not used.
            sample: Whether to draw the demos at random; else they are the first `k`.

        Raises:
            OptimizationError: `k` is below 1, or the trainset is empty.
        """
        with self.compiling(student, trainset, needs_inputs=False) as attributes:
            if self.k < 1:
                raise self.failure(f"k must be at least 1, not {self.k!r}", trainset)
            program, rng = without_demos(student), seeded(self.seed)
            for predictor in program.predictors():
                demos = labeled_demos(predictor.signature, trainset)
                predictor.demos = _drawn(demos, self.k, rng) if sample else demos[: self.k]
            attributes["result"] = program
        return program


@dataclass(frozen=True, repr=False)
class BootstrapFewShot(Optimizer):
    """Gives predictors the demos that a teacher makes when it solves training examples.

    The teacher runs on one example after the other, without a demo of that very example. Where
    the metric accepts its prediction, what each predictor was given and answered is a demo, so
    that steps for which there are no labels get demos too. The rest is filled up with labeled
    examples.

    Source: Khattab et al. 2023, "DSPy: Compiling Declarative Language Model Calls into
    Self-Improving Pipelines".

    Args:
        metric: `metric(example, prediction, trace)`, with the `(predictor, inputs, prediction)`
            of each step as the trace; a true result accepts. Without one, all are accepted.
        metric_threshold: The score from which on a prediction is accepted.
        teacher_settings: Settings under which the teacher runs; an `lm` here is the teacher's LM.
        max_bootstrapped_demos: How many examples to bootstrap; the first accepted ones are taken.
        max_labeled_demos: How many demos a predictor gets in all, if labels are needed to fill
            up; and how many labeled ones a teacher gets that has no demos.
        max_rounds: How often to try an example. From the second time on with temperature 1 and
            a rollout of its own, so that no cache answers.
        max_errors: How many tries may raise; `settings.max_errors` by default.
        seed: Decides which labeled examples are taken.
    """

    metric: Metric | None = None
    metric_threshold: float | None = None
    _: KW_ONLY
    teacher_settings: Mapping[str, Any] | None = None
    max_bootstrapped_demos: int = 4
    max_labeled_demos: int = 16
    max_rounds: int = 1
    max_errors: int | None = None
    seed: int = 0

    def compile(
        self,
        student: Student,
        *,
        trainset: Sequence[Example],
        valset: Sequence[Example] | None = None,
        teacher: Module | None = None,
    ) -> Student:
        """Return the student with bootstrapped and labeled demos; `valset` has no part in it.

        Raises:
            OptimizationError: The trainset is empty or has no inputs named, the teacher has
                other predictors, or too many tries raised.
        """
        with self.compiling(student, trainset) as attributes:
            found = self.bootstrap(student, trainset, teacher=teacher)
            rest = [example for index, example in enumerate(trainset) if index not in found]
            program, rng = without_demos(student), seeded(self.seed)
            for path, predictor in program.named_predictors():
                demos = [steps[path] for steps in found.values() if path in steps]
                labeled = labeled_demos(predictor.signature, rest)
                predictor.demos = demos + _drawn(labeled, self.max_labeled_demos - len(demos), rng)
            program._compiled = True  # noqa: SLF001  as DSPy marks it
            attributes["result"] = program
        return program

    def bootstrap(
        self, student: Module, trainset: Sequence[Example], *, teacher: Module | None = None
    ) -> dict[int, dict[str, Demo]]:
        """Run the teacher until enough examples are accepted.

        Returns:
            For the index of each accepted example: a demo for the path of each predictor that ran.

        Raises:
            OptimizationError: All tries raised.
            Exception: More than `max_errors` tries raised: the first of their errors, which has an
                `OptimizationError` that says how many as its cause.
        """
        able = self._teacher(student, trainset, teacher)
        limit = current().max_errors if self.max_errors is None else self.max_errors
        found: dict[int, dict[str, Demo]] = {}
        errors: list[Exception] = []
        tries = 0
        for (index, example), number in itertools.product(enumerate(trainset), range(self.max_rounds)):
            if len(found) >= self.max_bootstrapped_demos or len(errors) > limit:
                break
            if index in found:
                continue
            tries += 1
            try:
                prediction, trace = able.run(example, number)
                if self._accepts(example, prediction, trace):
                    found[index] = able.demos(trace)
            except Exception as error:  # noqa: BLE001  one example's failure is counted, and does not end the compile
                _log.warning("no demo from %r: %s: %s", example, type(error).__name__, error)
                errors.append(error)
        if errors and len(errors) >= min(tries, limit + 1):
            first = f"{type(errors[0]).__name__}: {errors[0]}"
            failure = self.failure(
                f"{len(errors)} of {tries} tries raised (max_errors={limit}); the first: {first}", trainset
            )
            if len(errors) > limit:  # as in DSPy, a caller may catch what the program raises
                raise errors[0] from failure
            raise failure from errors[0]
        _log.info("%r: %d of %d tries gave demos", self, len(found), tries)
        return found

    def _teacher(self, student: Module, trainset: Sequence[Example], teacher: Module | None) -> _Teacher:
        program = (teacher or student).deepcopy()
        asked, offered = _interface(student), _interface(program)
        if asked != offered:
            reason = f"the teacher must have the student's predictors, {asked!r}, but has {offered!r}"
            raise self.failure(reason, trainset)
        rng = seeded(self.seed)
        if not any(predictor.demos for predictor in program.predictors()):
            for predictor in program.predictors():
                predictor.demos = _drawn(labeled_demos(predictor.signature, trainset), self.max_labeled_demos, rng)
        return _Teacher(program, self.teacher_settings or {}, rng)

    def _accepts(self, example: Example, prediction: Prediction, trace: Trace) -> bool:
        if self.metric is None:
            return True
        score = as_score(Call(self.metric, (example, prediction, trace)).run())
        return bool(score) if self.metric_threshold is None else score.value >= self.metric_threshold


class _Teacher:
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
            demo = _own_fields(predictor.signature, {**inputs, **prediction})
            runs.setdefault(id(predictor), []).append(demo)
        named = self._program.named_predictors()
        return {path: self._one(runs[id(predictor)]) for path, predictor in named if id(predictor) in runs}

    def _one(self, demos: list[Demo]) -> Demo:
        *others, last = demos
        return self._rng.choice([last, self._rng.choice(others)]) if others else last


def seeded(seed: int | str) -> random.Random:
    """Return the random numbers of a seed."""
    return random.Random(seed)  # noqa: S311  draws examples, no secrets


def without_demos(program: Student) -> Student:
    """Return a copy whose predictors have no demos. They keep their LMs."""
    clone = program.deepcopy()
    for predictor in clone.predictors():
        predictor.demos, predictor.demo_selector = (), None
    return clone


def labeled_demos(signature: type[Signature], examples: Iterable[Example]) -> list[Demo]:
    """Make a demo of each example that has an output of the signature, and an input if it takes any."""
    demos = [labeled_demo(signature, example) for example in examples]
    return [demo for demo in demos if demo is not None]


def labeled_demo(signature: type[Signature], example: Example) -> Demo | None:
    """Make a demo of an example: the signature's fields that it has, and no others."""
    demo = _own_fields(signature, example)
    answered = any(name in demo for name in signature.output_fields)
    asked = not signature.input_fields or any(name in demo for name in signature.input_fields)
    return demo if asked and answered else None


def _drawn(demos: list[Demo], count: int, rng: random.Random) -> list[Demo]:
    return rng.sample(demos, max(0, min(count, len(demos))))


def _interface(program: Module) -> dict[str, str]:
    return {path: predictor.signature.signature for path, predictor in program.named_predictors()}


def _same_inputs(signature: type[Signature], demo: Mapping[str, Any], example: Example) -> bool:
    fields = signature.input_fields
    return [demo.get(name) for name in fields] == [example.get(name) for name in fields]


def _own_fields(signature: type[Signature], values: Mapping[str, Any] | Record) -> Demo:
    return Example({name: values[name] for name in signature.fields if name in values})
