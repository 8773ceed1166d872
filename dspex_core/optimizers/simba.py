"""SIMBA: demos and rules from examples on which runs of a program differ. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic

from dspex_core.errors import ConfigurationError
from dspex_core.optimizers.contract import Optimizer
from dspex_core.optimizers.demos import Student
from dspex_core.optimizers.plan import CompilePlan
from dspex_core.optimizers.proposers.advice import Advisor
from dspex_core.optimizers.proposers.writing import Writer, lm_for
from dspex_core.optimizers.search.buckets import Bucket, Lessons, buckets_of
from dspex_core.optimizers.search.loop import Proposal, Stepwise, in_full, search
from dspex_core.optimizers.search.prompts import prompts_of
from dspex_core.optimizers.search.racing import raced
from dspex_core.optimizers.search.trajectories import sampled

if TYPE_CHECKING:
    import random
    from collections.abc import Generator, Mapping, Sequence

    from dspex_core.config.contracts import LanguageModel
    from dspex_core.evaluation.run import Metric
    from dspex_core.example import Example
    from dspex_core.optimizers.run import Run
    from dspex_core.optimizers.trials import Trial

_log = logging.getLogger("dspex")
_NO_LIMIT = 10**9  # of failures: a run that fails is one with the score 0
_ROLLOUT_TEMPERATURE = 1.0


@dataclass(frozen=True, repr=False, kw_only=True)
class SIMBA(Optimizer):
    """Learns from the examples on which several runs of a program differ most.

    Each step takes a mini-batch and runs programs of its pool on each example several times. From examples where good
    and bad runs differ most, it makes new programs: one with the steps of a good run as demos, or one with rules that
    an LM infers from a good and a bad run. They are scored on the mini-batch and join the pool, from which good
    programs are drawn more often. The best program of each step, or of steps at even distances, is scored on the whole
    valset, as is the student; of equally good ones the earlier is taken.

    Programs whose prompts are the same are scored once. Replies of an LM that are not rules are left out, with one
    warning.

    Source: "Stochastic Introspective Mini-Batch Ascent" of DSPy.

    Args:
        metric: `metric(example, prediction, trace=None)`; its feedback, if it gives any, is shown to the LM that infers
            rules.
        bsize: How many examples a mini-batch has; the whole trainset where that is smaller.
        num_candidates: How often each example is run in a step; a step makes at most one program more than that.
        max_steps: How many steps there are.
        max_demos: About how many demos a predictor has at most; with 0 there are rules only.
        prompt_model: The LM that infers rules; by default that of the settings.
        teacher_settings: An `lm` here makes one of the runs of each example.
        demo_input_field_maxlen: How many characters a text among a demo's inputs has at most.
        num_threads: How many examples are run at once; `settings.num_threads` by default.
        temperature_for_sampling: How evenly programs are drawn for runs: near 0 the best one, if high any.
        temperature_for_candidates: As evenly are those drawn that new ones are made of.
        racing: Whether a program that is clearly worse than the best one is not scored on the rest of the valset.
        seed: Decides everything random.

    Raises:
        ConfigurationError: A number is too low.
    """

    _needs_metric = True
    takes_teacher = False

    metric: Metric
    bsize: int = 32
    num_candidates: int = 6
    max_steps: int = 8
    max_demos: int = 4
    prompt_model: LanguageModel | None = None
    teacher_settings: Mapping[str, Any] | None = None
    demo_input_field_maxlen: int = 100_000
    num_threads: int | None = None
    temperature_for_sampling: float = 0.2
    temperature_for_candidates: float = 0.2
    racing: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in {"bsize": 1, "num_candidates": 1, "max_steps": 1, "max_demos": 0}.items():
            if getattr(self, name) < least:
                raise ConfigurationError(f"{name} must be at least {least}, not {getattr(self, name)!r}")
        for name in ("temperature_for_sampling", "temperature_for_candidates"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} must be above 0, not {getattr(self, name)!r}")

    def planned_runs(self, trainset: Sequence[Example], valset: Sequence[Example] | None) -> CompilePlan:
        """Return how often it runs a program at most."""
        size = min(self.bsize, len(trainset))
        rows = len(trainset if valset is None else valset)
        return CompilePlan(
            train_runs=self.max_steps * size * (2 * self.num_candidates + 1),
            val_runs=len(self.finals) * rows,
            demos=self.max_demos,
            proposals=self.max_steps * size,
        )

    @property
    def finals(self) -> frozenset[int]:
        """The steps whose best programs are scored on the whole valset, from 1; 0 is the student."""
        count = self.num_candidates
        return frozenset(round(place * self.max_steps / count) for place in range(count + 1))

    def _compile(self, run: Run[Student]) -> Student:
        """Return the best program; without a valset, as in DSPy, by the trainset. A teacher has no part in it.

        Raises:
            OptimizationError: All runs of a program failed.
        """
        run.limits = replace(run.limits, max_errors=_NO_LIMIT)
        run.valset = run.trainset if run.valset is None else run.valset
        if len(run.trainset) < self.bsize:
            _log.info("SIMBA: mini-batches have the %d examples of the trainset", len(run.trainset))
        writer = Writer(lm_for(run.student, self.prompt_model))
        ascent = _Ascent(run, self, run.random("simba"), Advisor(writer))
        best = search(run, Stepwise(ascent.steps()), scored=raced if self.racing else in_full)
        writer.report(run.optimizer)
        return best


@dataclass
class _Member(Generic[Student]):
    """A program of the pool, with its scores on mini-batches."""

    program: Student
    scores: list[float] = field(default_factory=list)

    @property
    def mean(self) -> float:
        return sum(self.scores) / len(self.scores) if self.scores else 0.0


@dataclass
class _Ascent(Generic[Student]):
    """One compile.

    Args:
        run: The run.
        options: The optimizer.
        rng: Decides everything random.
        advisor: Asks for rules.
        pool: All programs, the student first.
        known: The prompts of all programs.
        order: The trainset's rows in the order of the present pass.
    """

    run: Run[Student]
    options: SIMBA
    rng: random.Random
    advisor: Advisor
    pool: list[_Member[Student]] = field(init=False)
    known: set[str] = field(init=False)
    order: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        student = self.run.student.deepcopy()
        self.pool = [_Member(student)]
        self.known = {prompts_of(student)}

    def steps(self) -> Generator[Proposal[Student], Trial, None]:
        """Yield the programs to score on the whole valset."""
        trial = yield Proposal("the student", lambda: self.pool[0].program)
        self.pool[0].scores += trial.scores.values()
        for step in range(1, self.options.max_steps + 1):
            batch = self._batch()
            made = self._made(buckets_of(self._runs(batch)))
            best = self._scored(made, batch)
            if best is not None and step in self.options.finals:
                yield Proposal(f"the best of step {step}", lambda best=best: best, {"step": step})  # type: ignore[misc]

    def _batch(self) -> list[Example]:
        """Return the next examples; where too few are left of this pass, the first of the next."""
        size = min(self.options.bsize, len(self.run.trainset))
        if len(self.order) < size:
            self.order = self.rng.sample(range(len(self.run.trainset)), len(self.run.trainset))
        rows, self.order = self.order[:size], self.order[size:]
        return [self.run.trainset[row] for row in rows]

    def _runs(self, batch: Sequence[Example]) -> list[Bucket]:
        """Run each example several times, each by a program that is drawn, as a rollout of its own."""
        able = self._able()
        drawn = [
            (self._drawn(able, self.options.temperature_for_sampling), example, number)
            for example in batch
            for number in range(self.options.num_candidates)
        ]
        found = sampled(self.run, [(self._rollout(each.program, number), example) for each, example, number in drawn])
        if len(self.pool) == 1 and all(each.failed for each in found):
            raise self.run.failure(f"all {len(found)} runs of the program failed; the first: {found[0].feedback}")
        for (member, _, _), trajectory in zip(drawn, found, strict=True):
            member.scores.append(trajectory.score)
        count = self.options.num_candidates
        return [Bucket(tuple(found[start : start + count])) for start in range(0, len(found), count)]

    def _rollout(self, program: Student, number: int) -> Student:
        copy = program.deepcopy()
        teacher = (self.options.teacher_settings or {}).get("lm")
        if number == 0 and teacher is not None:
            copy.set_lm(teacher)
        for predictor in copy.predictors():
            sampling: dict[str, Any] = {"rollout_id": number + 1}
            if number or teacher is None:
                sampling["temperature"] = _ROLLOUT_TEMPERATURE
            predictor.config = {**predictor.config, **sampling}
        return copy

    def _able(self) -> list[_Member[Student]]:
        """Return the best programs of the pool, and always the student."""
        ranked = sorted(self.pool, key=lambda member: -member.mean)[: self.options.num_candidates]
        return ranked if self.pool[0] in ranked else [*ranked[:-1], self.pool[0]]

    def _drawn(self, members: Sequence[_Member[Student]], temperature: float) -> _Member[Student]:
        best = max(member.mean for member in members)
        weights = [math.exp((member.mean - best) / temperature) for member in members]
        return self.rng.choices(members, weights)[0]

    def _made(self, buckets: Sequence[Bucket]) -> list[Student]:
        """Make new programs of the examples that teach most."""
        lessons = Lessons(self.rng, self.advisor, self.options.max_demos, self.options.demo_input_field_maxlen, buckets)
        made: list[Student] = []
        for bucket in lessons.buckets:
            source = self._drawn(self._able(), self.options.temperature_for_candidates)
            program = source.program.deepcopy()
            if not lessons.taught(program, bucket):
                continue
            prompts = prompts_of(program)
            if prompts in self.known:
                continue
            self.known.add(prompts)
            made.append(program)
            if len(made) > self.options.num_candidates:
                break
        return made

    def _scored(self, programs: Sequence[Student], batch: Sequence[Example]) -> Student | None:
        """Score programs on the mini-batch, add them to the pool, and return the best."""
        found = sampled(self.run, [(program, example) for program in programs for example in batch])
        members = [
            _Member(program, [each.score for each in found[place * len(batch) : (place + 1) * len(batch)]])
            for place, program in enumerate(programs)
        ]
        self.pool += members
        best = max(members, key=lambda member: member.mean, default=None)
        return None if best is None else best.program
