"""One run of an optimizer: what it is given, and what it has tried. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic

from dspex_core.config import current
from dspex_core.errors import OptimizationError
from dspex_core.evaluation.evaluate import Evaluate
from dspex_core.optimizers.demos import Student, seeded
from dspex_core.optimizers.fingerprint import fingerprint_of, param_data
from dspex_core.optimizers.search.prompts import prompts_of
from dspex_core.optimizers.trials import MARGIN, Spent, Trial, Trials, mean_of
from dspex_core.plain.described import described
from dspex_core.spending.usage import UsageTracker
from dspex_core.telemetry.spans import span

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence

    from dspex_core.evaluation.result import EvaluationResult
    from dspex_core.evaluation.run import Metric
    from dspex_core.example import Example
    from dspex_core.optimizers.fingerprint import Parameterized
    from dspex_core.optimizers.journal import CompileJournal
    from dspex_core.programs.base import Module

_log = logging.getLogger("dspex")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How an optimizer evaluates.

    Args:
        num_threads: How many examples are evaluated at once; `settings.num_threads` by default.
        max_errors: How many examples of an evaluation may fail; `settings.max_errors` by default.
    """

    num_threads: int | None = None
    max_errors: int | None = None


@dataclass(kw_only=True)
class Run(Generic[Student]):
    """What `Optimizer.compile` gives to `_compile`: the checked arguments, and all that an optimizer asks for.

    Args:
        optimizer: The optimizer's name, for messages.
        metric: What is better; `None` where the optimizer asks nobody.
        student: The program to improve; never change it.
        trainset: The examples to learn from.
        valset: The examples to choose between candidates by; `None` if none were given.
        teacher: The program whose traces become demos; `None` for the student.
        seed: Decides everything random.
        limits: How to evaluate.
        usage: What this compile has asked of LMs so far.
        journal: Where trials are kept.
        total: How many candidates there will be, if that is known; for progress.
        margin: How many standard errors the best must be better than the program as it is; see `Trials.best`.
        findings: What parts of an optimizer have found out and will need again, by a name for each.
    """

    optimizer: str
    metric: Metric | None
    student: Student
    trainset: Sequence[Example]
    valset: Sequence[Example] | None
    teacher: Module | None
    seed: int
    limits: Limits
    usage: UsageTracker = field(default_factory=lambda: UsageTracker(parent=current().usage))
    journal: CompileJournal | None = None
    total: int | None = None
    stopped: str = ""
    margin: float = MARGIN
    findings: dict[str, Any] = field(default_factory=dict)
    _trials: list[Trial] = field(default_factory=list)
    _opened: int = 0
    _has_scored: bool = False
    _unchanged: Trial | None = None

    def fingerprint(self, optimizer: Parameterized, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the answers and trials of this run depend on, as JSON data, for its journal."""
        sets = {"trainset": self.trainset, "valset": self.valset}
        found = fingerprint_of(self.student, optimizer, metric=self.metric, lm=current().lm, **sets)
        programs: dict[str, Module | None] = {"student": self.student, "teacher": self.teacher}
        states = {
            role: {"class": type(program).__name__, **described(program.dump_state())}
            for role, program in programs.items()
            if program is not None
        }
        given = {name: param_data(value) for name, value in options.items()}
        return {**found, **states, "seed": self.seed, "margin": self.margin, "options": given}

    def random(self, purpose: str | int) -> random.Random:
        """Return the random numbers for a purpose: others for each, and the same for the same seed."""
        return seeded(f"{self.seed}/{purpose}")

    def failure(self, reason: str) -> OptimizationError:
        """Return the error that says why this optimizer cannot compile."""
        return OptimizationError(optimizer=self.optimizer, reason=reason, trainset_size=len(self.trainset))

    def hold_out(self, fraction: float = 0.5) -> None:
        """Keep a part of the trainset as the valset, where none was given; a warning says so.

        Raises:
            OptimizationError: The trainset has too few examples for that.
        """
        if self.valset is not None:
            return
        size = len(self.trainset)
        held_out = int(size * fraction)
        if not 0 < held_out < size:
            reason = "it chooses between candidates by a valset: pass valset=... (valset=trainset, if you mean that)"
            raise self.failure(reason)
        shuffled = self.random("valset").sample(self.trainset, size)
        _log.warning(
            "no valset was given: %d of the %d training examples, drawn by seed %r, choose between candidates, and "
            "the other %d are learned from; pass valset=... to decide it yourself",
            *(held_out, size, self.seed, size - held_out),
        )
        self.trainset, self.valset = shuffled[held_out:], shuffled[:held_out]

    @property
    def validation(self) -> Sequence[Example]:
        """The examples to choose between candidates by; call `hold_out` before."""
        assert self.valset is not None, "`hold_out` gives a valset where none was given"
        return self.valset

    @property
    def spent(self) -> Spent:
        """What was asked of LMs so far."""
        return Spent(self.usage.calls, self.usage.total.total_tokens, self.usage.cost)

    @property
    def trials(self) -> Trials:
        """The trials so far: the leaderboard."""
        return Trials(
            self._trials,
            stopped=self.stopped,
            spent=self.spent,
            unchanged=self._unchanged,
            margin=self.margin,
        )

    @cached_property
    def _own_prompts(self) -> str:
        return prompts_of(self.student)

    def figures(self) -> dict[str, float]:
        """Return what events say of the run: the examples that it used, and by how much the best beats the first."""
        trials = self.trials
        used: dict[str, float] = {"examples_used": len(self.trainset) + len(self.valset or ()), "trials": len(trials)}
        if trials.best is None:
            return used
        first = next(trial for trial in trials if trial.is_full)
        return {**used, "score": trials.best.score, "score_improvement": trials.best.score - first.score}

    @property
    def best(self) -> Student | None:
        """The best program that ran on the whole valset so far: the student's, unless another is clearly ahead."""
        best = self.trials.best
        return None if best is None else best.program  # type: ignore[return-value]  # candidates are students

    def candidate(
        self, name: str, make: Callable[[], Student], choices: Mapping[str, Any] | None = None
    ) -> Candidate[Student]:
        """Make a program to be scored.

        Args:
            name: What it is, in words.
            make: Makes it; what that asks of LMs counts as the candidate's.
            choices: What was chosen in each dimension of a search.
        """
        self._opened += 1
        before = self.spent
        program = make()
        return Candidate(self, self._opened, name, program, dict(choices or {}), self.spent - before)

    def trial(self, name: str, make: Callable[[], Student], choices: Mapping[str, Any] | None = None) -> Trial:
        """Make a program, score it on the whole valset, and add it to the leaderboard.

        Args as for `candidate`.
        """
        with span("candidate", {"number": self._opened + 1, "total": self.total, "name": name}) as attributes:
            candidate = self.candidate(name, make, choices)
            candidate.score()
            return self._add(candidate, attributes)

    def close(self, candidate: Candidate[Student]) -> Trial:
        """Add a candidate that was scored, on some rows or on all, to the leaderboard."""
        attributes = {"number": candidate.number, "total": self.total, "name": candidate.name}
        with span("candidate", attributes) as attributes:
            return self._add(candidate, attributes)

    def evaluate(
        self, program: Module, examples: Sequence[Example], *, traces: bool = False, metric: Metric | None = None
    ) -> EvaluationResult:
        """Run a program on examples and score it, without a place on the leaderboard.

        Args:
            program: The program.
            examples: The examples.
            traces: Whether cases keep what each predictor did.
            metric: Scores them; that of the run by default.

        Raises:
            OptimizationError: There is no metric, or every example failed and none has been scored before.
            EvaluationError: More than `max_errors` examples failed.
        """
        metric = metric or self.metric
        if metric is None:
            raise self.failure("it needs a metric to score programs: pass metric=...")
        evaluate = Evaluate(
            devset=examples,
            metric=metric,
            num_threads=self.limits.num_threads,
            max_errors=self.limits.max_errors,
            traces=traces,
        )
        result = evaluate(program)
        errors = [case.error for case in result.cases if case.error is not None]
        self._has_scored = self._has_scored or len(errors) < len(result.cases)
        if errors and not self._has_scored:
            what = "the metric raised" if all(error.phase == "metric" for error in errors) else "the program failed"
            raise self.failure(f"{what} on each of {len(errors)} examples; the first: {errors[0]}")
        return result

    def _add(self, candidate: Candidate[Student], attributes: dict[str, Any]) -> Trial:
        trial = Trial(
            number=candidate.number,
            name=candidate.name,
            scores=dict(sorted(candidate.scores.items())),
            total=len(self.validation),
            spent=candidate.spent,
            choices=candidate.choices,
            program=candidate.program,
        )
        self._trials.append(trial)
        if self._unchanged is None and trial.is_full and prompts_of(candidate.program) == self._own_prompts:
            self._unchanged = trial
        if self.journal is not None:
            self.journal.add(trial)
        leader = self.trials.leader
        best_score = trial.score if leader is None else leader.score
        attributes.update(program=candidate.program, score=trial.score, best=best_score, trial=trial)
        number = f"{trial.number}{'' if self.total is None else f'/{self.total}'}"
        _log.info("candidate %s (%s): %.3f (best %.3f)", number, trial.name, trial.score, best_score)
        return trial


@dataclass
class Candidate(Generic[Student]):
    """A program that is being scored; `Run.candidate` makes it, and `Run.close` puts it on the leaderboard.

    Args:
        run: The run that it belongs to.
        number: Its place, from 1.
        name: What it is, in words.
        program: The program.
        choices: What was chosen in each dimension of a search.
        spent: What it has asked of LMs.
        scores: The scores so far, by the example's place in the valset.
    """

    run: Run[Student]
    number: int
    name: str
    program: Student
    choices: dict[str, Any]
    spent: Spent
    scores: dict[int, float] = field(default_factory=dict)

    def score(self, rows: Sequence[int] | None = None) -> EvaluationResult | None:
        """Score it on rows of the valset, by their places; by default on all. Rows that it has a score of are not run.

        Returns:
            The evaluation; `None` if there was none to make.
        """
        valset = self.run.validation
        wanted = [row for row in (range(len(valset)) if rows is None else rows) if row not in self.scores]
        if not wanted:
            return None
        before = self.run.spent
        result = self.run.evaluate(self.program, [valset[row] for row in wanted])
        self.scores.update(zip(wanted, result.means, strict=True))
        self.spent += self.run.spent - before
        return result

    @property
    def mean(self) -> float:
        """The mean of the scores so far."""
        return mean_of(self.scores)
