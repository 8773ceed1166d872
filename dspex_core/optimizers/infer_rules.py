"""InferRules: rules that an LM finds in the examples, appended to instructions. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Any

from dspex_core.optimizers.bootstrap_few_shot import bootstrap_of
from dspex_core.optimizers.contract import Optimizer
from dspex_core.optimizers.demos import Student, labeled_demos, without_demos
from dspex_core.optimizers.plan import CompilePlan, cost_of, planned_sets
from dspex_core.optimizers.proposers.rules import RuleFinder
from dspex_core.optimizers.proposers.writing import Writer, lm_for
from dspex_core.optimizers.search.loop import Proposal, Stepwise, in_full, search
from dspex_core.optimizers.search.prompts import prompts_of
from dspex_core.optimizers.search.racing import raced

if TYPE_CHECKING:
    import random
    from collections.abc import Generator, Mapping, Sequence

    from dspex_core.evaluation.run import Metric
    from dspex_core.example import Example
    from dspex_core.optimizers.demos import Demo
    from dspex_core.optimizers.run import Run
    from dspex_core.optimizers.trials import Trial
    from dspex_core.programs.base import Module, Predictor

_HEADING = "Follow these rules:"
_TEMPERATURE = 1.0


@dataclass(frozen=True, repr=False)
class InferRules(Optimizer):
    """Appends rules to the instructions, which an LM finds in the training examples.

    Demos are bootstrapped first, as by `BootstrapFewShot`. Then each candidate has rules of its own: the LM sees the
    examples in another order, and each predictor its own fields of them. The candidates, the student and the program
    with demos alone are scored on the valset; of equally good ones the earlier is taken.

    Programs whose prompts are the same are scored once. Replies of an LM that are not rules are left out, with one
    warning.

    Args:
        num_candidates: How many programs with rules are tried.
        num_rules: How many rules the LM writes at most for a predictor.
        num_threads: How many examples are evaluated at once; `settings.num_threads` by default.
        teacher_settings: Settings under which the teacher runs and rules are written, such as an `lm`.
        metric: `metric(example, prediction, trace=None)`; accepts demos, and scores programs.
        metric_threshold: The score from which on a prediction is accepted as a demo.
        max_bootstrapped_demos: How many examples to bootstrap.
        max_labeled_demos: How many demos a predictor gets in all, if labels are needed to fill up.
        max_rounds: How often to try an example; see `BootstrapFewShot`.
        max_errors: How many tries of the bootstrap, or examples of an evaluation, may fail; `settings.max_errors` by
            default.
        racing: Whether a program that is clearly worse than the best one is not scored on the rest of the valset.
        seed: Decides everything random.

    Raises:
        ConfigurationError: `num_candidates` or `num_rules` is below 1.
    """

    _needs_metric = True
    _learns_from_predictors = True

    num_candidates: int = 10
    num_rules: int = 10
    num_threads: int | None = None
    teacher_settings: Mapping[str, Any] | None = None
    _: KW_ONLY
    metric: Metric | None = None
    metric_threshold: float | None = None
    max_bootstrapped_demos: int = 4
    max_labeled_demos: int = 16
    max_rounds: int = 1
    max_errors: int | None = None
    racing: bool = True
    seed: int = 0

    def plan(
        self, student: Module, trainset: Sequence[Example], valset: Sequence[Example] | None = None
    ) -> CompilePlan:
        """Return the most that `compile` would ask with these examples and the LM in the settings."""
        self._check_planned(student, trainset, valset)
        trainset, valset = planned_sets(trainset, valset)
        bootstrap = bootstrap_of(self).planned_runs(trainset, None)
        proposals = self.num_candidates * len(student.predictors())
        val_runs = (2 + self.num_candidates) * len(valset)
        plan = replace(bootstrap, val_runs=val_runs, proposals=proposals)
        return replace(plan, cost=cost_of(plan, student, trainset=trainset, others=valset))

    def _compile(self, run: Run[Student]) -> Student:
        """Return the best program.

        Without a valset, half of the trainset, drawn by the seed, is kept for that, and a warning says so.

        Raises:
            OptimizationError: There is no metric, there is no valset and one example only, or demos cannot be
                bootstrapped.
        """
        run.hold_out()
        settings = dict(self.teacher_settings or {})
        writer = Writer(settings.pop("lm", None) or lm_for(run.student, None), _TEMPERATURE, settings)
        finder = RuleFinder(writer, self.num_rules)
        best = search(run, Stepwise(self._steps(run, finder)), scored=raced if self.racing else in_full)
        writer.report(run.optimizer)
        return best

    def _steps(self, run: Run[Student], finder: RuleFinder) -> Generator[Proposal[Student], Trial, None]:
        student = without_demos(run.student)
        bootstrapper = bootstrap_of(self)
        program = bootstrapper.compile(run.student, trainset=run.trainset, teacher=run.teacher, seed=run.seed)
        known = {prompts_of(student)}
        yield Proposal("the student", lambda: student)
        if prompts_of(program) not in known:
            known.add(prompts_of(program))
            yield Proposal("demos alone", lambda: program)
        for number in range(1, self.num_candidates + 1):
            candidate = _with_rules(program, run.trainset, finder, run.random(number))
            if prompts_of(candidate) not in known:
                known.add(prompts_of(candidate))
                name = f"demos and rules {number}"
                yield Proposal(name, lambda candidate=candidate: candidate, {"seed": number})  # type: ignore[misc]


def _with_rules(program: Student, trainset: Sequence[Example], finder: RuleFinder, rng: random.Random) -> Student:
    """Return a copy of a program with new rules for each predictor."""
    candidate = program.deepcopy()
    shuffled = rng.sample(trainset, len(trainset))
    for predictor in candidate.predictors():
        rules = finder.rules(predictor, _examples(predictor, shuffled))
        if rules:
            predictor.signature = predictor.signature.append_instructions(f"{_HEADING}\n{rules}")
    return candidate


def _examples(predictor: Predictor, trainset: Sequence[Example]) -> list[Demo]:
    """Return what is known of a predictor's task: labels, and for a step without labels what it did right."""
    return labeled_demos(predictor.signature, trainset) or list(predictor.demos)
