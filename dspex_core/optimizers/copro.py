"""COPRO: instructions, written by an LM and improved predictor by predictor. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import statistics
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic

from dspex_core.errors import ConfigurationError
from dspex_core.optimizers.contract import Optimizer
from dspex_core.optimizers.demos import Student
from dspex_core.optimizers.plan import CompilePlan, cost_of
from dspex_core.optimizers.proposers.rewriting import Attempt, Rewriter, Words
from dspex_core.optimizers.proposers.writing import Writer, lm_for
from dspex_core.optimizers.search.loop import Proposal, Stepwise, in_full, search
from dspex_core.optimizers.search.prompts import prompts_of
from dspex_core.optimizers.search.racing import estimated, raced

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from dspex_core.config.contracts import LanguageModel
    from dspex_core.evaluation.run import Metric
    from dspex_core.example import Example
    from dspex_core.optimizers.run import Limits, Run
    from dspex_core.optimizers.trials import Trial
    from dspex_core.programs.base import Module

_SHOWN_ONLY = frozenset({"display_progress", "display_table", "provide_traceback"})
_TOP = 10  # of how many scores `results_best` has the figures


@dataclass(eq=False, repr=False)
class COPRO(Optimizer):
    """Improves the instructions of each predictor in turn, and the prefix of its last output.

    An LM writes new instructions from those of the predictor; later rounds show it what was tried, with the scores.
    Each is scored while the other predictors keep the best that they have. Where these have changed, earlier
    instructions are scored again. Of equally good programs the earlier is taken, so the student itself unless one is
    better. Demos stay as they are.

    Programs whose prompts are the same are scored once. Instructions that the LM cannot write are left out, with one
    warning.

    Source: Khattab et al. 2023, "DSPy: Compiling Declarative Language Model Calls into Self-Improving Pipelines";
    it extends OPRO (Yang et al. 2023, "Large Language Models as Optimizers") by coordinate ascent.

    Args:
        prompt_model: The LM that writes instructions; by default that of the settings.
        metric: `metric(example, prediction, trace=None)`; scores programs.
        breadth: How many instructions there are for a predictor in each round, in the first its own among them.
        depth: How many rounds there are.
        init_temperature: The temperature at which instructions are written.
        track_stats: Whether the program gets `results_best` and `results_latest`: by the path of each predictor, the
            `depth`, and `max`, `average`, `min` and `std` of the scores in percent, of the ten best and of the latest.
        num_threads: How many examples are evaluated at once; `settings.num_threads` by default.
        max_errors: How many examples of an evaluation may fail; `settings.max_errors` by default.
        racing: Whether a program that is clearly worse than the best one is not scored on the rest of the rows.
        seed: Decides the order of the rows.

    Raises:
        ConfigurationError: `breadth` is below 2, or `depth` below 1.
    """

    _needs_metric = True
    takes_teacher = False

    prompt_model: LanguageModel | None = None
    metric: Metric | None = None
    breadth: int = 10
    depth: int = 3
    init_temperature: float = 1.4
    track_stats: bool = False
    _: KW_ONLY
    num_threads: int | None = None
    max_errors: int | None = None
    racing: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.breadth < 2:  # noqa: PLR2004  its own instructions are one of them
            raise ConfigurationError(f"breadth must be greater than 1, not {self.breadth!r}")

    def plan(
        self, student: Module, trainset: Sequence[Example], valset: Sequence[Example] | None = None
    ) -> CompilePlan:
        """Return the most that `compile` would ask with these examples and the LM in the settings."""
        self._check_planned(student, trainset, valset)
        predictors, rounds = len(student.predictors()), self.breadth * self.depth
        scored = rounds if predictors == 1 else 1 + predictors * (rounds * (self.depth + 1) // 2 - self.depth)
        rows = len(trainset if valset is None else valset)
        plan = CompilePlan(val_runs=scored * rows, proposals=predictors * (rounds - 1))
        return replace(plan, cost=cost_of(plan, student, trainset=trainset, others=valset or ()))

    def _compile(self, run: Run[Student], *, eval_kwargs: Mapping[str, Any] | None = None) -> Student:
        """Return the program with the best instructions.

        Args:
            run: The run. Programs are scored on the valset, and without one on the trainset, as in DSPy: no instruction
                is written from its rows.
            eval_kwargs: DSPy's options for `Evaluate`: `num_threads` and `max_errors`; what it would display has no
                effect.

        Raises:
            OptimizationError: There is no metric, or `eval_kwargs` has other options.
        """
        run.limits = _limits(run, eval_kwargs or {})
        run.valset = run.trainset if run.valset is None else run.valset
        ascent = _Ascent(run, self, Rewriter(Writer(lm_for(run.student, self.prompt_model), self.init_temperature)))
        best = search(run, Stepwise(ascent.steps()), scored=raced if self.racing else in_full)
        ascent.rewriter.writer.report(run.optimizer)
        ascent.note_in(best)
        return best


@dataclass
class _Ascent(Generic[Student]):
    """One compile.

    Args:
        run: The run.
        options: The optimizer.
        rewriter: Asks the LM that writes.
        program: The best program so far.
        written: All words for each predictor, by its path, in the order in which they were written.
        attempts: Those with their scores beside the present words of the other predictors.
        scores: The scores of programs, by their prompts.
        stats: The figures of `track_stats`.
    """

    run: Run[Student]
    options: COPRO
    rewriter: Rewriter
    program: Student = field(init=False)
    written: dict[str, list[Words]] = field(init=False)
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    stats: dict[str, dict[str, dict[str, list[float]]]] = field(init=False)

    def __post_init__(self) -> None:
        self.program = self.run.student.deepcopy()
        self.written = {path: [Words.of(predictor)] for path, predictor in self.program.named_predictors()}
        self.stats = {name: {path: {} for path in self.written} for name in ("results_best", "results_latest")}

    def steps(self) -> Generator[Proposal[Student], Trial, None]:
        """Yield the programs to score."""
        for depth in range(self.options.depth):
            latest = {path: self._write(path, depth) for path in self.written}
            if depth == 0:
                yield from self._scored("the student", self.program, {})
            for path in self.written:
                yield from self._climb(path, depth, latest[path])

    def note_in(self, program: Student) -> None:
        """Give a program the figures that DSPy's has."""
        figures: dict[str, Any] = {"total_calls": len(self.run.trials)}
        vars(program).update({**figures, **self.stats} if self.options.track_stats else figures)

    def _write(self, path: str, depth: int) -> list[Words]:
        """Ask for new words for a predictor."""
        predictor = dict(self.program.named_predictors())[path]
        breadth = self.options.breadth
        best = sorted(self.attempts.get(path, ()), key=lambda attempt: -attempt.score)[:breadth]
        words = self.rewriter.words(predictor, breadth if depth else breadth - 1, best)
        new = [each for each in words if each not in self.written[path]]
        self.written[path] += new
        return new

    def _climb(self, path: str, depth: int, latest: list[Words]) -> Generator[Proposal[Student], Trial, None]:
        """Score all words of a predictor beside the present ones of the others, and take the best."""
        own = Words.of(dict(self.program.named_predictors())[path])
        ordered = [own, *(words for words in self.written[path] if words != own)]
        attempts = []
        for words in ordered:
            program = self._with(path, words)
            name = f"round {depth + 1}: {path}, instruction {self.written[path].index(words)}"
            choices = {"predictor": path, "instructions": words.instructions, "prefix": words.prefix}
            score = yield from self._scored(name, program, choices)
            attempts.append(Attempt(words, score))
        self.attempts[path] = attempts
        self._note(path, depth, latest)
        self.program = self._with(path, max(attempts, key=lambda attempt: attempt.score).words)

    def _scored(
        self, name: str, program: Student, choices: Mapping[str, Any]
    ) -> Generator[Proposal[Student], Trial, float]:
        """Return the score of a program; one with the same prompts as an earlier one is not run."""
        prompts = prompts_of(program)
        if prompts not in self.scores:
            trial = yield Proposal(name, lambda: program, choices)
            self.scores[prompts] = estimated(self.run, trial)
        return self.scores[prompts]

    def _with(self, path: str, words: Words) -> Student:
        program = self.program.deepcopy()
        words.put(dict(program.named_predictors())[path])
        return program

    def _note(self, path: str, depth: int, latest: list[Words]) -> None:
        """Note the figures of a round, in percent as DSPy does."""
        scores = [100 * attempt.score for attempt in self.attempts[path]]
        new = [100 * attempt.score for attempt in self.attempts[path] if attempt.words in latest]
        for name, values in (("results_best", sorted(scores)[-_TOP:]), ("results_latest", new or scores[:1])):
            figures = {
                "depth": depth,
                "max": max(values),
                "average": statistics.fmean(values),
                "min": min(values),
                "std": statistics.pstdev(values),
            }
            for key, value in figures.items():
                self.stats[name][path].setdefault(key, []).append(value)


def _limits(run: Run[Any], given: Mapping[str, Any]) -> Limits:
    """Return how to evaluate, with DSPy's options for that."""
    unknown = sorted(given.keys() - {"num_threads", "max_errors"} - _SHOWN_ONLY)
    if unknown:
        raise run.failure(f"eval_kwargs takes num_threads and max_errors, not {', '.join(map(repr, unknown))}")
    limits = {name: given[name] for name in ("num_threads", "max_errors") if name in given}
    return replace(run.limits, **limits)
