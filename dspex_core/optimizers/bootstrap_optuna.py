"""Search over sets of bootstrapped demos with Optuna. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Generic

from dspex_core.optimizers.bootstrap_few_shot import BootstrapFewShot, bootstrap_of
from dspex_core.optimizers.contract import Optimizer
from dspex_core.optimizers.demos import Student, drawn, labeled_demos, without_demos
from dspex_core.optimizers.plan import CompilePlan, planned_sets
from dspex_core.optimizers.search.loop import Proposal, search
from dspex_core.optimizers.search.tpe import TPE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.evaluation.run import Metric
    from dspex_core.example import Example
    from dspex_core.optimizers.demos import Demo
    from dspex_core.optimizers.run import Run
    from dspex_core.optimizers.trials import Trial
    from dspex_core.signatures.signature import Signature

_NONE, _IN_ORDER, _LABELED = -3, -2, -1  # the sets before the random ones, which are numbered from 0
_RANDOM = 7
_POOL = 4  # examples are bootstrapped for so many sets at most


@dataclass(frozen=True, repr=False)
class BootstrapFewShotWithOptuna(Optimizer):
    """Chooses for each predictor one of several sets of demos; Optuna's TPE says which to try next.

    The trainset is bootstrapped once. From the demos found, each predictor gets its sets: none, the first ones in
    order, labeled ones, and random ones of random sizes. All predictors without demos, with those in order, and with
    labeled ones are tried first, then what the estimator proposes, each combination once. Of equally good ones the
    earlier is taken. Where DSPy chooses a single demo for a predictor, this chooses a set.

    Needs `pip install 'pytest-dspex[optimize]'`.

    Source of the estimator: Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization".

    Args:
        metric: `metric(example, prediction, trace=None)`; accepts demos, and scores candidates.
        teacher_settings: Settings under which the teacher runs; an `lm` here is the teacher's LM.
        max_bootstrapped_demos: How many demos of a set at most are bootstrapped.
        max_labeled_demos: How many demos a predictor gets in all, if labels are needed to fill up.
        max_rounds: How often to try an example; see `BootstrapFewShot`.
        num_candidate_programs: How many combinations are tried.
        num_threads: How many examples are evaluated at once; `settings.num_threads` by default.
        max_errors: How many tries of the bootstrap, or examples of an evaluation, may fail;
            `settings.max_errors` by default.
        metric_threshold: The score from which on a prediction is accepted as a demo.
        seed: Decides the sets and what is tried.
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
    _: KW_ONLY
    max_errors: int | None = None
    metric_threshold: float | None = None
    seed: int = 0

    def planned_runs(self, trainset: Sequence[Example], valset: Sequence[Example] | None) -> CompilePlan:
        """Return how often it runs a program at most."""
        trainset, valset = planned_sets(trainset, valset)
        bootstrap = self._bootstrapper(_POOL * self.max_bootstrapped_demos).planned_runs(trainset, None)
        return CompilePlan(
            bootstrap.train_runs,
            self.num_candidate_programs * len(valset),
            demos=max(self.max_bootstrapped_demos, self.max_labeled_demos),
        )

    def _compile(self, run: Run[Student], *, max_demos: int | None = None) -> Student:
        """Return the best candidate.

        Without a valset, half of the trainset, drawn by the seed, is kept for that, and a warning says so.

        Args:
            run: The run.
            max_demos: How many examples are bootstrapped in all, to draw sets from; by default four times
                `max_bootstrapped_demos`.

        Raises:
            ConfigurationError: Optuna is not installed.
            OptimizationError: There is no valset and one example only, no candidate is to be tried, or the
                trainset cannot be bootstrapped.
            EvaluationError: More than `max_errors` examples of the valset failed.
        """
        if self.num_candidate_programs < 1:
            raise run.failure(f"no candidate is to be tried: num_candidate_programs={self.num_candidate_programs!r}")
        run.hold_out()
        size = _POOL * self.max_bootstrapped_demos if max_demos is None else max_demos
        sets = _DemoSets(run, self._bootstrapper(size), size=self.max_bootstrapped_demos)
        strategy = _ByTPE(sets, run, trials=self.num_candidate_programs)
        run.total = min(self.num_candidate_programs, strategy.tpe.combinations)
        return search(run, strategy)

    def _bootstrapper(self, size: int) -> BootstrapFewShot:
        return bootstrap_of(self, max_bootstrapped_demos=size)


class _DemoSets(Generic[Student]):
    """The sets of demos of each predictor; the bootstrap runs when the first of them is asked for.

    Args:
        run: The run.
        bootstrapper: Makes the demos.
        size: How many bootstrapped demos a set has at most.
    """

    def __init__(self, run: Run[Student], bootstrapper: BootstrapFewShot, *, size: int) -> None:
        self._run = run
        self._bootstrapper = bootstrapper
        self._size = size
        self.named = [_NONE, _IN_ORDER, *([_LABELED] if bootstrapper.max_labeled_demos > 0 else [])]
        self.kinds = [*self.named, *range(_RANDOM if size > 0 else 0)]

    def program(self, choices: Mapping[str, int]) -> Student:
        """Return the student with the chosen set of each predictor."""
        program = without_demos(self._run.student)
        for path, predictor in program.named_predictors():
            kind = self.kinds[choices[path]]
            if kind != _NONE:
                predictor.demos = self._demos(path, predictor.signature, kind)
        program._compiled = True  # noqa: SLF001  as DSPy marks it
        return program

    @cached_property
    def _found(self) -> dict[int, dict[str, Demo]]:
        run = self._run
        return self._bootstrapper.bootstrap(run.student, run.trainset, teacher=run.teacher, seed=run.seed)

    def name(self, choices: Mapping[str, int]) -> str:
        """Return a combination in words."""
        kinds = {path: self.kinds[choice] for path, choice in choices.items()}
        names = {_NONE: "no demos", _IN_ORDER: "bootstrapped in order", _LABELED: "labeled demos"}
        words = {path: names.get(kind, f"random set {kind}") for path, kind in kinds.items()}
        alike = len(set(words.values())) == 1
        return next(iter(words.values())) if alike else ", ".join(f"{path}: {text}" for path, text in words.items())

    def _demos(self, path: str, signature: type[Signature], kind: int) -> list[Demo]:
        run, rng = self._run, self._run.random(f"labels of set {kind} of {path}")
        chosen = self._chosen(path, kind)
        rest = [example for index, example in enumerate(run.trainset) if index not in chosen]
        labeled = drawn(labeled_demos(signature, rest), self._bootstrapper.max_labeled_demos - len(chosen), rng)
        return [self._found[index][path] for index in chosen] + labeled

    def _chosen(self, path: str, kind: int) -> list[int]:
        """Return the places in the trainset of the examples whose bootstrapped demos are in a set."""
        if kind == _LABELED:
            return []
        able = [index for index, steps in self._found.items() if path in steps]
        if kind == _IN_ORDER:
            return able[: self._size]
        rng = self._run.random(f"set {kind} of {path}")
        return rng.sample(able, min(len(able), rng.randint(1, self._size)))


class _ByTPE(Generic[Student]):
    """The strategy that asks for what the estimator proposes."""

    def __init__(self, sets: _DemoSets[Student], run: Run[Student], *, trials: int) -> None:
        paths = [path for path, _ in run.student.named_predictors()]
        self.tpe = TPE(
            dict.fromkeys(paths, len(sets.kinds)),
            seed=run.random("tpe").getrandbits(32),
            startup=max(len(sets.named), trials // 3),
            first=[dict.fromkeys(paths, choice) for choice in range(len(sets.named))],
        )
        self._sets = sets
        self._left = trials

    def ask(self) -> Proposal[Student] | None:
        """Return the next combination, or `None` when enough or all were tried."""
        choices = self.tpe.ask() if self._left else None
        if choices is None:
            return None
        self._left -= 1
        return Proposal(self._sets.name(choices), partial(self._sets.program, choices), choices)

    def tell(self, trial: Trial) -> None:
        """Let the estimator learn the score."""
        self.tpe.tell(trial.choices, trial.score)
