"""MIPROv2: instructions and demos, searched together. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from dspex_core.config import context, current
from dspex_core.errors import ConfigurationError
from dspex_core.optimizers.bootstrap_few_shot import bootstrap_of
from dspex_core.optimizers.contract import Optimizer
from dspex_core.optimizers.demo_sets import demo_sets
from dspex_core.optimizers.mipro_effort import AUTO, Effort, MIPROv2Options, held_out_fraction
from dspex_core.optimizers.plan import CompilePlan, cost_of, planned_sets
from dspex_core.optimizers.proposers.grounded import GroundedProposer
from dspex_core.optimizers.search.minibatches import MinibatchSearch
from dspex_core.optimizers.search.parts import Parts
from dspex_core.optimizers.search.tpe import TPE, needed_optuna

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.config.contracts import LanguageModel
    from dspex_core.evaluation.run import Metric
    from dspex_core.example import Example
    from dspex_core.optimizers.demo_sets import DemoSet
    from dspex_core.optimizers.demos import Demo, Student
    from dspex_core.optimizers.proposers.contract import Proposer
    from dspex_core.optimizers.run import Run
    from dspex_core.optimizers.search.dimensions import PromptDimensions
    from dspex_core.programs.base import Module

_SHOWN = 3  # bootstrapped demos that a proposal shows


@dataclass(frozen=True, repr=False)
class MIPROv2(Optimizer):
    """Writes instructions, makes sets of demos, and searches for the best combination of both for each predictor.

    First it bootstraps sets of demos from the trainset. Then proposers write instructions for each predictor; by
    default an LM does, which is shown the data, the program and accepted calls (`GroundedProposer`). Then Optuna's TPE
    proposes combinations. The student as it is, with its own instructions and demos, is the first trial. On a large
    valset each combination is scored on a minibatch, and from time to time the best of them on the whole valset. The
    best that was scored on the whole valset is returned, of equal ones the first.

    Needs `pip install 'pytest-dspex[optimize]'`.

    Source: Opsahl-Ong et al. 2024, "Optimizing Instructions and Demonstrations for Multi-Stage Language Model
    Programs".

    Args:
        metric: `metric(example, prediction, trace=None)`; accepts demos, and scores candidates.
        prompt_model: The LM that writes instructions; that of the settings by default.
        task_model: The LM that the program runs with; that of the settings by default.
        teacher_settings: Settings under which the teacher runs; an `lm` here is the teacher's LM.
        max_bootstrapped_demos: How many demos at most are bootstrapped for a set.
        max_labeled_demos: How many demos a set has in all, if labels are needed to fill up. With 0 for both,
            instructions alone are searched.
        auto: How much to try: 6, 12 or 18 candidates, on at most 100, 300 or 1000 rows of the valset. With `None`,
            `num_candidates` and `num_trials` say it.
        num_candidates: How many instructions, and how many sets of demos, there are for a predictor.
        num_threads: How many examples are evaluated at once; `settings.num_threads` by default.
        max_errors: How many tries of a bootstrap, or examples of an evaluation, may fail;
            `settings.max_errors` by default.
        seed: Decides everything random.
        init_temperature: The temperature at which instructions are written.
        metric_threshold: The score from which on a prediction is accepted as a demo.
        proposers: What writes instructions. Each writes as many as `num_candidates` asks for.
        racing: Whether a combination that is to be scored on the whole valset is dropped as soon as the best so far is
            clearly better. The leaderboard has it with the rows that it ran on.
        dimensions: What else of a predictor's prompt is searched; nothing by default.
        verbose, track_stats, log_dir: As in DSPy, without effect: the log and `trials` have what they ask for.

    `MIPROv2Options` has the options of `compile`.
    """

    _needs_metric = True
    _learns_from_predictors = True
    _compile_options = MIPROv2Options

    metric: Metric
    prompt_model: LanguageModel | None = None
    task_model: LanguageModel | None = None
    teacher_settings: Mapping[str, Any] | None = None
    max_bootstrapped_demos: int = 4
    max_labeled_demos: int = 4
    auto: Literal["light", "medium", "heavy"] | None = "light"
    num_candidates: int | None = None
    num_threads: int | None = None
    max_errors: int | None = None
    seed: int = 9
    init_temperature: float = 1.0
    verbose: bool = False
    track_stats: bool = True
    log_dir: str | None = None
    metric_threshold: float | None = None
    _: KW_ONLY
    proposers: Sequence[Proposer] | None = None
    racing: bool = False
    dimensions: PromptDimensions | None = None

    def __post_init__(self) -> None:
        """Refuse what no compile could use."""
        super().__post_init__()
        if self.auto is not None and self.auto not in AUTO:
            raise ConfigurationError(f"auto is 'light', 'medium', 'heavy' or None, not {self.auto!r}")

    def plan(
        self, student: Module, trainset: Sequence[Example], valset: Sequence[Example] | None = None, **options: Any
    ) -> CompilePlan:
        """Return the most that `compile` would ask with these examples and the LM in the settings.

        Args:
            student: The program.
            trainset: The examples to learn from.
            valset: The examples to choose by; without any, as many of the trainset as `compile` would take.
            **options: Those of `compile`: `num_trials`, `minibatch`, ...

        Raises:
            OptimizationError: The student is not a program, or a set is not a list of examples.
            ConfigurationError: An option is of the wrong kind, or does not fit the others.
        """
        self._check_options(options)
        self._check_planned(student, trainset, valset)
        chosen = MIPROv2Options(**options)
        trainset, valset = planned_sets(trainset, valset, held_out_fraction(len(trainset)))
        effort, predictors = self._effort(chosen), len(student.predictors())
        effort.check(predictors)
        rows = effort.rows(len(valset))
        bootstraps = max(0, effort.demo_sets - (1 if effort.labeled else 0)) or (1 if effort.is_zero_shot else 0)
        balanced = 0 if self.dimensions is None else self.dimensions.most_demos(student, trainset)
        plan = CompilePlan(
            train_runs=len(trainset) * bootstraps,
            val_runs=effort.schedule(predictors, rows).runs(rows),
            demos=max(effort.bootstrapped, effort.labeled, balanced),
            proposals=sum(each.calls(student, trainset, effort.instructions) for each in self._proposers(chosen)),
        )
        return replace(plan, cost=cost_of(plan, student, trainset=trainset, others=valset))

    def _compile(self, run: Run[Student], **options: Any) -> Student:
        """Return the best combination. `MIPROv2Options` describes the options.

        Without a valset, 80 % of the trainset (at most 1000 examples), drawn by the seed, are kept for that as in DSPy,
        and a warning says so.

        Raises:
            ConfigurationError: Optuna is not installed, or numbers contradict each other.
            OptimizationError: There is no valset and one example only, or the trainset cannot be bootstrapped.
            EvaluationError: More than `max_errors` examples of the valset failed.
        """
        chosen = MIPROv2Options(**options)
        return self._searched(run, self._effort(chosen), self._proposers(chosen))

    def _searched(self, run: Run[Student], effort: Effort, proposers: Sequence[Proposer]) -> Student:
        needed_optuna()
        predictors = len(run.student.predictors())
        effort.check(predictors)
        run.hold_out(held_out_fraction(len(run.trainset)))
        rows = effort.rows(len(run.validation))
        if rows < len(run.validation):
            kept = sorted(run.random("rows of the valset").sample(range(len(run.validation)), rows))
            run.valset = [run.validation[row] for row in kept]
        schedule = effort.schedule(predictors, rows)
        with context(lm=self.task_model or current().lm):
            sets, shown = self._demos(run, effort)
        with context(lm=self.prompt_model or current().lm):
            instructions = _instructions(run, proposers, effort.instructions, shown)
        dimensions = {} if self.dimensions is None else self.dimensions.of(run)
        parts = Parts(run.student, instructions, sets, dimensions)
        startup = max(4, schedule.trials // 3)  # random ones, before the estimator knows enough
        tpe = TPE(parts.sizes, seed=run.random("search").getrandbits(32), startup=startup, patience=2)
        with context(lm=self.task_model or current().lm):
            return MinibatchSearch(run, parts, tpe, schedule).best()

    def _demos(self, run: Run[Any], effort: Effort) -> tuple[list[DemoSet], dict[str, list[Demo]]]:
        """Return the sets to choose from, and the demos of each predictor that proposals may show."""
        bootstrapper = bootstrap_of(
            self,
            max_bootstrapped_demos=_SHOWN if effort.is_zero_shot else effort.bootstrapped,
            max_labeled_demos=effort.labeled,
            seed=run.seed,
        )
        sets = demo_sets(run, bootstrapper, 1 if effort.is_zero_shot else effort.demo_sets)
        shown: dict[str, list[Demo]] = {path: [] for path, _ in run.student.named_predictors()}
        for each in sets:
            for path, demos in each.items():
                shown[path] += [demo for demo in demos if demo not in shown[path]]
        return ([] if effort.is_zero_shot else sets), shown

    def _effort(self, options: MIPROv2Options) -> Effort:
        bootstrapped, labeled = options.max_bootstrapped_demos, options.max_labeled_demos
        return Effort(
            auto=self.auto,
            candidates=self.num_candidates,
            trials=options.num_trials,
            bootstrapped=self.max_bootstrapped_demos if bootstrapped is None else bootstrapped,
            labeled=self.max_labeled_demos if labeled is None else labeled,
            minibatch=options.minibatch,
            minibatch_size=options.minibatch_size,
            full_every=options.minibatch_full_eval_steps,
            racing=self.racing,
        )

    def _proposers(self, options: MIPROv2Options) -> Sequence[Proposer]:
        if self.proposers is not None:
            return self.proposers
        grounded = GroundedProposer(
            temperature=self.init_temperature,
            program_aware=options.program_aware_proposer,
            data_aware=options.data_aware_proposer,
            tip_aware=options.tip_aware_proposer,
            demo_aware=options.fewshot_aware_proposer,
            batch_size=options.view_data_batch_size,
        )
        return [grounded]


MIPRO = MIPROv2


def _instructions(
    run: Run[Any], proposers: Sequence[Proposer], count: int, demos: Mapping[str, Sequence[Demo]]
) -> dict[str, list[str]]:
    """Return what proposers write for each predictor, each text once."""
    found: dict[str, list[str]] = {}
    for path, predictor in run.student.named_predictors():
        texts = [text for each in proposers for text in each.instructions(run, path, count, demos.get(path, ()))]
        found[path] = [text for text in dict.fromkeys(texts) if text != predictor.signature.instructions]
    return found
