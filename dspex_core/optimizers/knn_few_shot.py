"""Few-shot prompts with the demos that are nearest to each call's inputs. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from dspex_core.optimizers.bootstrap_few_shot import BootstrapFewShot
from dspex_core.optimizers.checks import warn_without_demos
from dspex_core.optimizers.contract import Optimizer
from dspex_core.optimizers.demos import Student, labeled_demo, without_demos
from dspex_core.optimizers.plan import CompilePlan
from dspex_core.programs.demos.selector import NearestDemos

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex_core.example import Example
    from dspex_core.optimizers.run import Run
    from dspex_core.retrievers.embedders import Vectorizer


class KNNFewShot(Optimizer):
    """Gives each predictor all training examples as demos; a call shows the `k` nearest to its inputs.

    Compiling calls no LM unless there is a `metric`. With one, every example is bootstrapped
    once, as `BootstrapFewShot` does; those that are not accepted keep their labels as demos.
    Outputs that no example has, such as `reasoning`, are in the demos only then.

    Args:
        k: How many demos a call shows, the nearest last.
        trainset: The examples; they may be given to `compile` instead.
        vectorizer: An `Embedder`, or a function from texts to vectors; by default character n-grams are
            compared, without a model.
        **few_shot_bootstrap_args: `BootstrapFewShot`'s arguments. `max_bootstrapped_demos` has
            no effect: all examples are tried.
    """

    _learns_from_predictors = True

    def __init__(
        self,
        k: int,
        trainset: Sequence[Example] | None = None,
        vectorizer: Vectorizer | None = None,
        **few_shot_bootstrap_args: Any,
    ) -> None:
        self.k = k
        self.vectorizer = vectorizer
        self._check_kinds({"k": k, "trainset": trainset})
        self._bootstrapper = BootstrapFewShot(**few_shot_bootstrap_args)
        self.metric = self._bootstrapper.metric
        self.seed = self._bootstrapper.seed
        self._trainset = trainset

    @property
    def takes_teacher(self) -> bool:  # type: ignore[override]  # it depends on the options
        """Whether a teacher has a part in it: only with a metric are examples bootstrapped."""
        return self.metric is not None

    @property
    def max_errors(self) -> int | None:  # type: ignore[override]  # it is the bootstrap's
        """How many tries of the bootstrap may fail."""
        return self._bootstrapper.max_errors

    def planned_runs(self, trainset: Sequence[Example], valset: Sequence[Example] | None) -> CompilePlan:
        """Return how often it runs a program at most."""
        examples = trainset or self._trainset or ()
        runs = 0 if self.metric is None else len(examples) * self._bootstrapper.max_rounds
        return CompilePlan(runs, demos=min(self.k, len(examples)))

    def compile(self, student: Student, *, trainset: Sequence[Example] | None = None, **given: Any) -> Student:
        """As every optimizer's; the trainset may have been given to the constructor instead."""
        return super().compile(student, trainset=(self._trainset if trainset is None else trainset) or (), **given)

    def _compile(self, run: Run[Student]) -> Student:
        """Return the student with all examples as demos and the choice of the nearest; the valset has no part in it.

        Raises:
            OptimizationError: `k` is below 1, or bootstrapping the trainset failed.
        """
        if self.k < 1:
            raise run.failure(f"k must be at least 1, not {self.k!r}")
        program = without_demos(run.student)
        for predictor in program.predictors():  # one that cannot keep it refuses before any LM is called
            predictor.demo_selector = NearestDemos(self.k, self.vectorizer)
        found = self._bootstrap(run)
        for path, predictor in program.named_predictors():
            labeled = [labeled_demo(predictor.signature, example) for example in run.trainset]
            demos = [found.get(index, {}).get(path, demo) for index, demo in enumerate(labeled)]
            predictor.demos = [demo for demo in demos if demo is not None]
        warn_without_demos(program, run.trainset)
        return program

    def get_params(self) -> dict[str, Any]:
        """Return this optimizer's options, those of the bootstrap and the trainset included."""
        bootstrap = self._bootstrapper.get_params() if self.metric is not None else {}
        given = {} if self._trainset is None else {"trainset": self._trainset}
        return {**bootstrap, **given, **super().get_params()}

    def default_params(self) -> dict[str, Any]:
        """Return the defaults of the options, those of the bootstrap included."""
        return {**self._bootstrapper.default_params(), **super().default_params()}

    def _bootstrap(self, run: Run[Student]) -> dict[int, dict[str, Example]]:
        if self.metric is None:
            return {}
        everything = dataclasses.replace(self._bootstrapper, max_bootstrapped_demos=len(run.trainset))
        return everything.bootstrap(run.student, run.trainset, teacher=run.teacher, seed=run.seed)
