"""Random search over sets of bootstrapped demos. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.evaluation.evaluate import Evaluate
from dspex_core.optimizers.contract import Optimizer
from dspex_core.optimizers.few_shot import BootstrapFewShot, LabeledFewShot, seeded, without_demos
from dspex_core.telemetry.spans import span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.evaluation.evaluate import Metric
    from dspex_core.example import Example
    from dspex_core.programs.base import Module

_log = logging.getLogger("dspex")

_UNCOMPILED, _LABELED, _IN_ORDER = -3, -2, -1  # the candidates before the shuffled ones, numbered as in DSPy


@dataclass(frozen=True, repr=False)
class BootstrapFewShotWithRandomSearch(Optimizer):
    """Makes programs with different demos and returns the one that scores best on the valset.

    The candidates are the student without demos, with labeled demos, with demos bootstrapped
    from the trainset in its order, and then from shuffled trainsets, each with another number
    of demos. Of equally good ones the earlier is taken.

    Each candidate is a span `candidate` with the attributes `number` (from 1), `total` and, at
    its end, `program`, its mean `score` and the `best` one so far.

    Args:
        metric: `metric(example, prediction, trace=None)`; accepts demos, and scores candidates.
        teacher_settings: Settings under which the teacher runs; an `lm` here is the teacher's LM.
        max_bootstrapped_demos: How many demos at most are bootstrapped for a candidate.
        max_labeled_demos: How many demos a predictor gets in all, if labels are needed to fill up.
        max_rounds: How often to try an example; see `BootstrapFewShot`.
        num_candidate_programs: How many shuffled candidates there are.
        num_threads: How many examples are evaluated at once; `settings.num_threads` by default.
        max_errors: How many tries of a bootstrap, or examples of an evaluation, may fail;
            `settings.max_errors` by default.
        stop_at_score: A mean score in percent, as in DSPy, at which to be content.
        metric_threshold: The score from which on a prediction is accepted as a demo.
        seed: Decides the shuffles, the numbers of demos and the labeled examples.
    """

    metric: Metric
    teacher_settings: Mapping[str, Any] | None = None
    _: KW_ONLY
    max_bootstrapped_demos: int = 4
    max_labeled_demos: int = 16
    max_rounds: int = 1
    num_candidate_programs: int = 16
    num_threads: int | None = None
    max_errors: int | None = None
    stop_at_score: float | None = None
    metric_threshold: float | None = None
    seed: int = 0

    def compile(
        self,
        student: Module,
        *,
        trainset: Sequence[Example],
        valset: Sequence[Example] | None = None,
        teacher: Module | None = None,
    ) -> Module:
        """Return the best candidate.

        Raises:
            OptimizationError: There is no valset, or a candidate cannot be bootstrapped.
            EvaluationError: More than `max_errors` examples of the valset failed.
        """
        with self.compiling(student, trainset, valset) as attributes:
            if valset is None:
                reason = (
                    "it chooses between candidates by a valset: pass valset=... (valset=trainset, if you mean that)"
                )
                raise self.failure(reason, trainset)
            if self.stop_at_score is not None and 0 < self.stop_at_score <= 1:
                reason = f"stop_at_score is in percent: write {100 * self.stop_at_score:g} for {self.stop_at_score!r}"
                raise self.failure(reason, trainset)
            best = self._search(student, trainset, valset, teacher)
            attributes["result"] = best
        return best

    def _search(
        self, student: Module, trainset: Sequence[Example], valset: Sequence[Example], teacher: Module | None
    ) -> Module:
        evaluate = Evaluate(devset=valset, metric=self.metric, num_threads=self.num_threads, max_errors=self.max_errors)
        kinds = self._kinds()
        best, best_score = student, float("-inf")
        for number, kind in enumerate(kinds, 1):
            with span("candidate", {"number": number, "total": len(kinds)}) as attributes:
                program = self._candidate(kind, student, trainset, teacher)
                result = evaluate(program)
                if result.mean > best_score:
                    best, best_score = program, result.mean
                attributes.update(program=program, score=result.mean, best=best_score)
            _log.info("candidate %d/%d: %.3f (best %.3f)", number, len(kinds), result.mean, best_score)
            if self.stop_at_score is not None and result.score >= self.stop_at_score:
                break
        return best

    def _kinds(self) -> list[int]:
        """Return the numbers of the candidates; without labeled demos there is no candidate of them."""
        labeled = [_LABELED] if self.max_labeled_demos > 0 else []
        return [_UNCOMPILED, *labeled, _IN_ORDER, *range(self.num_candidate_programs)]

    def _candidate(self, kind: int, student: Module, trainset: Sequence[Example], teacher: Module | None) -> Module:
        if kind == _UNCOMPILED:
            return without_demos(student)
        if kind == _LABELED:
            return LabeledFewShot(self.max_labeled_demos, self.seed).compile(student, trainset=trainset)
        size = self.max_bootstrapped_demos
        if kind != _IN_ORDER:
            rng = seeded(f"{self.seed}/{kind}")
            trainset, size = rng.sample(trainset, len(trainset)), rng.randint(min(1, size), size)
        return self._bootstrapper(size).compile(student, trainset=trainset, teacher=teacher)

    def _bootstrapper(self, size: int) -> BootstrapFewShot:
        return BootstrapFewShot(
            self.metric,
            self.metric_threshold,
            teacher_settings=self.teacher_settings,
            max_bootstrapped_demos=size,
            max_labeled_demos=self.max_labeled_demos,
            max_rounds=self.max_rounds,
            max_errors=self.max_errors,
            seed=self.seed,
        )


BootstrapRS = BootstrapFewShotWithRandomSearch
