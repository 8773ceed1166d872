"""Random search over sets of bootstrapped demos. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.optimizers.bootstrap_few_shot import BootstrapFewShot, bootstrap_of
from dspex_core.optimizers.contract import Optimizer
from dspex_core.optimizers.demos import Student, without_demos
from dspex_core.optimizers.labeled_few_shot import LabeledFewShot
from dspex_core.optimizers.plan import CompilePlan, cost_of, planned_sets
from dspex_core.optimizers.search.dimensions import apply, in_words, spread
from dspex_core.optimizers.search.loop import InOrder, Proposal, search
from dspex_core.optimizers.search.racing import most_runs, race
from dspex_core.optimizers.teacher import Remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from dspex_core.evaluation.run import Metric
    from dspex_core.example import Example
    from dspex_core.optimizers.proposers.contract import Proposer
    from dspex_core.optimizers.run import Run
    from dspex_core.optimizers.search.dimensions import Dimension, PromptDimensions
    from dspex_core.optimizers.teacher import Show
    from dspex_core.programs.base import Module

_UNCOMPILED, _LABELED, _IN_ORDER = -3, -2, -1  # the candidates before the shuffled ones, numbered as in DSPy


@dataclass(frozen=True, repr=False)
class BootstrapFewShotWithRandomSearch(Optimizer):
    """Makes programs with different demos and returns the one that `Trials.best` chooses by the valset.

    The candidates are the student without demos, with labeled demos, with demos bootstrapped
    from the trainset in its order, and then from shuffled trainsets, each with another number
    of demos. Of equally good ones the earlier is taken.

    They race (`search.racing`): those that fall behind are not scored on the whole valset. And
    they share what the teacher does: it solves each training example once, with the same labeled
    demos for all candidates. With `racing=False` each candidate is scored in full and has a
    teacher of its own, as in DSPy.

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
        racing: Whether candidates race, and share the teacher's demos.
        proposers: Write instructions, which shuffled candidates get in turn, beside the student's own.
        instructions_per_proposer: How many instructions each proposer may write for a predictor.
        dimensions: What else of a prompt is varied in shuffled candidates; nothing by default.
    """

    _needs_metric = True
    _learns_from_predictors = True

    metric: Metric
    teacher_settings: Mapping[str, Any] | None = None
    max_bootstrapped_demos: int = 4
    max_labeled_demos: int = 16
    max_rounds: int = 1
    num_candidate_programs: int = 16
    num_threads: int | None = None
    max_errors: int | None = None
    stop_at_score: float | None = None
    metric_threshold: float | None = None
    _: KW_ONLY
    seed: int = 0
    racing: bool = True
    proposers: Sequence[Proposer] = ()
    instructions_per_proposer: int = 4
    dimensions: PromptDimensions | None = None

    def plan(
        self, student: Module, trainset: Sequence[Example], valset: Sequence[Example] | None = None
    ) -> CompilePlan:
        """Return the most that `compile` would ask with these examples and the LM in the settings."""
        self._check_planned(student, trainset, valset)
        written = sum(each.calls(student, trainset, self.instructions_per_proposer) for each in self.proposers)
        plan = replace(self.planned_runs(trainset, valset), proposals=written)
        if self.dimensions is not None:
            plan = replace(plan, demos=max(plan.demos, self.dimensions.most_demos(student, trainset)))
        return replace(plan, cost=cost_of(plan, student, trainset=trainset, others=valset or ()))

    def planned_runs(self, trainset: Sequence[Example], valset: Sequence[Example] | None) -> CompilePlan:
        """Return how often it runs a program at most."""
        trainset, valset = planned_sets(trainset, valset)
        bootstrap = self._bootstrapper(self.max_bootstrapped_demos).planned_runs(trainset, None)
        count, teachers = len(self._kinds()), 1 if self.racing else 1 + self.num_candidate_programs
        val_runs = most_runs(count, len(valset)) if self.racing else count * len(valset)
        return CompilePlan(teachers * bootstrap.train_runs, val_runs, bootstrap.demos)

    def _compile(
        self, run: Run[Student], *, restrict: Collection[int] | None = None, labeled_sample: bool = True
    ) -> Student:
        """Return the best candidate.

        Without a valset, half of the trainset, drawn by the seed, is kept for that, and a warning says so.

        Args:
            run: The run.
            restrict: Only the candidates with these numbers: -3 without demos, -2 with labeled ones, -1 bootstrapped
                in order, from 0 on shuffled.
            labeled_sample: Whether the labeled demos of candidate -2 are drawn at random; else they are the first.

        Raises:
            OptimizationError: There is no valset and one example only, no candidate is left, or one cannot
                be bootstrapped.
            EvaluationError: More than `max_errors` examples of the valset failed.
        """
        run.hold_out()
        kinds = [kind for kind in self._kinds() if restrict is None or kind in restrict]
        if not kinds:
            raise run.failure(f"no candidate is left: restrict={restrict!r} of {self._kinds()}")
        if self.stop_at_score is not None and 0 < self.stop_at_score <= 1:
            raise run.failure(
                f"stop_at_score is in percent: write {100 * self.stop_at_score:g} for {self.stop_at_score!r}"
            )
        run.total = len(kinds)
        make = partial(self._candidate, run, show=self._shared(run), labeled_sample=labeled_sample)
        proposals = [Proposal(_name(kind), partial(make, kind), {"seed": kind}) for kind in kinds]
        proposals = self._varied(self._instructed(proposals, run), run)
        stop_at = None if self.stop_at_score is None else self.stop_at_score / 100
        if self.racing:
            return race(run, proposals, stop_at=stop_at)
        return search(run, InOrder(proposals), stop_at=stop_at)

    def _instructed(self, proposals: list[Proposal[Student]], run: Run[Student]) -> list[Proposal[Student]]:
        """Give shuffled candidates instructions that were proposed: in turn none, the first, the second, ..."""
        written = self._written(run)
        if not written:
            return proposals
        found = []
        for each in proposals:
            number = each.choices["seed"] % (len(written) + 1)
            if each.choices["seed"] >= 0 and number:
                make = partial(_with_instructions, each.make, written[number - 1])
                choices = {**each.choices, "instruction": number}
                found.append(Proposal(f"{each.name}, instruction {number}", make, choices))
            else:
                found.append(each)
        return found

    def _varied(self, proposals: list[Proposal[Student]], run: Run[Student]) -> list[Proposal[Student]]:
        """Give shuffled candidates what the dimensions have to choose from."""
        if self.dimensions is None:
            return proposals
        dimensions = self.dimensions.of(run)
        combinations = spread(dimensions, self.num_candidate_programs, run.random("dimensions"))
        found = []
        for each in proposals:
            if each.choices["seed"] >= 0:
                chosen = combinations[each.choices["seed"]]
                make = partial(_with_choices, each.make, dimensions, chosen)
                name = ", ".join([each.name, *in_words(dimensions, chosen)])
                found.append(Proposal(name, make, {**each.choices, **chosen}))
            else:
                found.append(each)
        return found

    def _written(self, run: Run[Student]) -> list[dict[str, str]]:
        """Return sets of instructions, by the predictors' paths."""
        sets: list[dict[str, str]] = []
        paths = [path for path, _ in run.student.named_predictors()]
        for proposer in self.proposers:
            of_path = {path: proposer.instructions(run, path, self.instructions_per_proposer) for path in paths}
            most = max(map(len, of_path.values()), default=0)
            sets += [{path: texts[nth] for path, texts in of_path.items() if nth < len(texts)} for nth in range(most)]
        return sets

    def _shared(self, run: Run[Student]) -> Show | None:
        """Return the teacher that all candidates share; `None` for one of its own for each."""
        if not self.racing or not self.max_bootstrapped_demos:
            return None
        bootstrapper = self._bootstrapper(self.max_bootstrapped_demos)
        return Remembered(bootstrapper.shows(run.student, run.trainset, teacher=run.teacher, seed=run.seed))

    def _kinds(self) -> list[int]:
        """Return the numbers of the candidates; labeled demos give a candidate only if there are any."""
        labeled = [_LABELED] if self.max_labeled_demos > 0 else []
        return [_UNCOMPILED, *labeled, _IN_ORDER, *range(self.num_candidate_programs)]

    def _candidate(self, run: Run[Student], kind: int, *, show: Show | None, labeled_sample: bool) -> Student:
        if kind == _UNCOMPILED:
            return without_demos(run.student)
        if kind == _LABELED:
            return LabeledFewShot(self.max_labeled_demos, run.seed).compile(
                run.student, trainset=run.trainset, sample=labeled_sample
            )
        size, trainset = self.max_bootstrapped_demos, run.trainset
        if kind != _IN_ORDER:
            rng = run.random(kind)
            trainset, size = rng.sample(trainset, len(trainset)), rng.randint(min(1, size), size)
        bootstrapper = self._bootstrapper(size)
        if show is None:
            return bootstrapper.compile(run.student, trainset=trainset, teacher=run.teacher, seed=run.seed)
        found = bootstrapper.bootstrap(run.student, trainset, show=show)
        return bootstrapper.filled_up(run.student, trainset, found, seed=run.seed)

    def _bootstrapper(self, size: int) -> BootstrapFewShot:
        return bootstrap_of(self, max_bootstrapped_demos=size)


def _with_instructions(make: Callable[[], Student], texts: Mapping[str, str]) -> Student:
    program = make()
    for path, predictor in program.named_predictors():
        if path in texts:
            predictor.signature = predictor.signature.with_instructions(texts[path])
    return program


def _with_choices(
    make: Callable[[], Student], dimensions: Mapping[str, Sequence[Dimension]], chosen: Mapping[str, int]
) -> Student:
    program = make()
    for path, predictor in program.named_predictors():
        apply(predictor, path, dimensions.get(path, ()), chosen)
    return program


def _name(kind: int) -> str:
    names = {_UNCOMPILED: "no demos", _LABELED: "labeled demos", _IN_ORDER: "bootstrapped in order"}
    return names.get(kind, f"bootstrapped, shuffle {kind}")


BootstrapRS = BootstrapFewShotWithRandomSearch
