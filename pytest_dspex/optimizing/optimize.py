"""`--dspex-optimize`: recompile a program, compare it with the stored one, keep the better. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dspex_core import (
    ArtifactError,
    ConfigurationError,
    ContextWindowExceededError,
    Evaluate,
    EvaluationError,
    EvaluationResult,
    LMError,
)
from dspex_core.plugin_api import (
    ARTIFACT_KIND,
    artifact_state,
    compare,
    current,
    fingerprint_of,
    overlap,
    provenance,
    read_json,
    write_artifact,
)
from pytest_dspex.optimizing.artifacts import file_digests, is_stale
from pytest_dspex.optimizing.decision import decide, doubt
from pytest_dspex.optimizing.looks import count_look, digest_of_set, forget_count_beside, held_out, looks_at
from pytest_dspex.optimizing.prompts import prompt_changes
from pytest_dspex.optimizing.results import OptimizeResult
from pytest_dspex.reports.worst import scored_cases

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dspex_core import Example, Module, Optimizer
    from dspex_core.plugin_api import Comparison
    from pytest_dspex.optimizing.results import OptimizeOutcome
    from pytest_dspex.optimizing.watching import Watcher
    from pytest_dspex.programs import ProgramSpec

_SHOWN = 5  # ids of examples in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One program to recompile.

    Args:
        spec: The program.
        program: The program as it is built; it stays so, since only copies of it are run.
        optimizer: Its optimizer.
        metric: The metric that scores the held-out examples.
        trainset: What the optimizer learns from.
        valset: What it chooses by.
        testset: The held-out examples.
    """

    spec: ProgramSpec
    program: Module
    optimizer: Optimizer
    metric: Callable[..., Any]
    trainset: Sequence[Example]
    valset: Sequence[Example] | None
    testset: Sequence[Example]

    @classmethod
    def of(cls, spec: ProgramSpec, program: Module, testset: Sequence[Example]) -> Self:
        """Return the job for a program.

        Raises:
            ConfigurationError: The program has no optimizer, metric or held-out examples, or is compiled
                on some of the held-out examples.
            DatasetError: A dataset cannot be read.
        """
        optimizer = spec.optimizer
        metric = spec.metric or (optimizer.metric if optimizer else None)
        if optimizer is None or metric is None:
            lacks = "an optimizer" if optimizer is None else "a metric"
            raise ConfigurationError(f"@program {spec.name!r} lacks {lacks}, which --dspex-optimize needs; give it one")
        if not testset:
            raise ConfigurationError(f"@program {spec.name!r} has no held-out examples; give it a testset")
        inputs = sorted(testset[0].input_keys)
        if not inputs:
            raise ConfigurationError(
                f"the held-out examples of @program {spec.name!r} have no input fields; name them with inputs=[...]"
            )
        trainset, valset = _datasets(spec, program, inputs, testset)
        return cls(
            spec=spec,
            program=program,
            optimizer=optimizer,
            metric=metric,
            trainset=trainset,
            valset=valset,
            testset=testset,
        )

    def fingerprint(self) -> dict[str, Any]:
        """Return what the program is compiled from."""
        found = fingerprint_of(
            self.program,
            self.optimizer,
            metric=self.metric,
            trainset=self.trainset,
            valset=self.valset,
            lm=current().lm,
        )
        return {**found, "files": file_digests(self.spec)}


@dataclass(frozen=True, slots=True)
class _Compared:
    """The recompiled program and the one in use, with their results on the held-out examples."""

    incumbent: Module
    candidate: Module
    result: EvaluationResult
    comparison: Comparison


class Optimization:
    """Compiles a program, and replaces its artifact if the result is better on the held-out examples.

    Args:
        job: The program.
        watcher: Sees the calls and the candidates; the caller makes it a listener.
        say: Shows a line of progress.
        check_limit: Raises the error with which the budget has refused a call.
        concurrency: How many held-out examples run at once.
    """

    def __init__(
        self,
        job: Job,
        watcher: Watcher,
        *,
        say: Callable[[str], None],
        check_limit: Callable[[], None],
        concurrency: int,
    ) -> None:
        self._job = job
        self._watcher = watcher
        self._say = say
        self._check_limit = check_limit
        self._evaluate = Evaluate(
            devset=job.testset,
            metric=job.metric,
            num_threads=concurrency,
            max_errors=len(job.testset),
            display_progress=None,  # on a terminal only: a log has no use for a bar
        )

    def run(self, *, writes: bool) -> OptimizeResult:
        """Do it all; without `writes`, neither the artifact nor the count of looks changes.

        Raises:
            ArtifactError: The stored program cannot be loaded, or the compiled one cannot be saved.
            EvaluationError: The LM or the metric failed on held-out examples.
            BudgetExceededError: The budget has no room for the calls.
        """
        job, spec = self._job, self._job.spec
        _check_storable(job.program, spec)
        compared = self._compare()
        digest, stale = digest_of_set(job.testset), is_stale(spec, job.program)
        look = looks_at(spec, digest) + 1
        outcome = decide(compared.comparison, look, is_stale=stale)
        is_stored = writes and outcome in ("improved", "recompiled")
        if is_stored:
            made_of = {**provenance(job.fingerprint(), job.optimizer), "held_out": held_out(spec, digest)}
            _store(compared.candidate, spec, metadata=_baseline(compared.result), provenance=made_of)
            forget_count_beside(spec)
        elif writes:
            count_look(spec, digest)
        return self._result(compared, outcome, look, is_stored=is_stored)

    def _compare(self) -> _Compared:
        job, spec = self._job, self._job.spec
        incumbent, stored = _incumbent(spec, job.program)
        self._say(f"scoring {stored} on {len(job.testset)} held-out examples")
        before = self._score(incumbent)
        self._say(f"{stored}: {before.mean:.3f}; compiling with {job.optimizer!r}")
        compiled = job.optimizer.compile(job.program.deepcopy(), trainset=job.trainset, valset=job.valset)
        self._check_limit()
        candidate = _as_loaded(job.program, compiled)
        if candidate.dump_state() == incumbent.dump_state():
            self._say("the recompiled program is the same")
            return _Compared(incumbent, candidate, before, compare(before, before))
        self._say("scoring the recompiled program")
        after = self._score(candidate)
        return _Compared(incumbent, candidate, after, compare(before, after))

    def _score(self, program: Module) -> EvaluationResult:
        result = _trusted(self._evaluate(program))
        self._check_limit()
        return result

    def _result(self, compared: _Compared, outcome: OptimizeOutcome, look: int, *, is_stored: bool) -> OptimizeResult:
        comparison = compared.comparison
        return OptimizeResult(
            program=self._job.spec.name,
            outcome=outcome,
            line=comparison.describe("incumbent", "candidate", outcome=outcome),
            why=doubt(comparison, look) if outcome == "not better" else "",
            metric=comparison.metric,
            n=len(comparison.pairs),
            before=comparison.before,
            after=comparison.after,
            p_value=comparison.p_value,
            lost=_lost(compared) if outcome == "regressed" else (),
            look=look,
            is_stored=is_stored,
            candidates=self._watcher.candidates,
            prompts=prompt_changes(compared.incumbent, compared.candidate),
            spent=self._watcher.spent,
        )


def incumbent_name(spec: ProgramSpec) -> str:
    """Return the words for the program with which a recompiled one is compared."""
    return f"the stored {'/'.join(spec.artifact.parts[-2:])}" if spec.artifact.exists() else "the uncompiled program"


def regression_message(spec: ProgramSpec, result: OptimizeResult) -> str:
    """Return the message of a regression, with the examples that it lost."""
    lines = [
        f"{spec.name} {result.line}",
        f"The recompiled program is worse and was dropped: {incumbent_name(spec)} stays.",
    ]
    return "\n".join([*lines, *(f"  lost {case}" for case in result.lost)])


def _lost(compared: _Compared) -> tuple[str, ...]:
    lost = set(compared.comparison.lost)
    return tuple(str(case) for case in scored_cases(compared.result) if case.name in lost)


def _datasets(
    spec: ProgramSpec, program: Module, inputs: Sequence[str], testset: Sequence[Example]
) -> tuple[list[Example], list[Example] | None]:
    """Return the trainset and the valset, which have nothing in common with the held-out examples."""
    trainset = [] if spec.trainset is None else spec.examples(spec.trainset, program=program, inputs=inputs)
    valset = None if spec.valset is None else spec.examples(spec.valset, program=program, inputs=inputs)
    _refuse_overlap(spec, "trainset", trainset, testset)
    _refuse_overlap(spec, "valset", valset or [], testset)
    return trainset, valset


def _check_storable(program: Module, spec: ProgramSpec) -> None:
    """Save the uncompiled program to a temporary folder, so that an error in saving comes before any LM call.

    Raises:
        ArtifactError: The program cannot be saved.
    """
    with tempfile.TemporaryDirectory(prefix="dspex-") as folder:
        program.save(Path(folder, spec.artifact.name))


def _incumbent(spec: ProgramSpec, program: Module) -> tuple[Module, str]:
    """Return the program in use, and what to call it.

    It is a copy with the stored state, if there is one. A state of an older source that does not fit the program any
    more is not in use: then it is the uncompiled program.
    """
    copy = program.deepcopy()
    if not spec.artifact.exists():
        return copy, incumbent_name(spec)
    try:
        copy.load_state(artifact_state(read_json(spec.artifact), ARTIFACT_KIND, path=spec.artifact))
    except ArtifactError as error:
        if is_stale(spec, program):
            return copy, "the uncompiled program, as the stored one does not fit the source any more,"
        raise type(error)(error.reason, path=str(spec.artifact), problems=error.problems) from error
    return copy, incumbent_name(spec)


def _store(
    program: Module, spec: ProgramSpec, *, metadata: Mapping[str, object], provenance: Mapping[str, object]
) -> None:
    """Save the better program as the artifact, or in a temporary folder if that fails.

    Raises:
        ArtifactError: The artifact could not be written; the message says where the program is.
    """
    try:
        write_artifact(spec.artifact, ARTIFACT_KIND, program.dump_state(), metadata=metadata, provenance=provenance)
    except ArtifactError as error:
        rescued = Path(tempfile.mkdtemp(prefix="dspex-"), spec.artifact.name)
        program.save(rescued)
        message = f"{error}\nThe better program was saved elsewhere; move it to this place from {rescued}"
        raise ArtifactError(message, problems=error.problems) from error


def _as_loaded(program: Module, compiled: Module) -> Module:
    """Return the program as the tests would load it, so that the scored program is the stored one."""
    loaded = program.deepcopy()
    loaded.load_state(compiled.dump_state())
    return loaded


def _trusted(result: EvaluationResult) -> EvaluationResult:
    """Return the result, unless the LM or the metric failed on an example.

    Raises:
        EvaluationError: One of them failed, so that the programs cannot be compared.
    """
    for name, case in zip(result.names, result.cases, strict=True):
        error = case.error
        if error is not None and (error.phase == "metric" or _is_lm_failure(error.error)):
            message = f"the programs cannot be compared, as an example has no score: on {name} the {error}"
            raise EvaluationError(message, result=result) from error.error
    return result


def _is_lm_failure(error: Exception) -> bool:
    return isinstance(error, LMError) and not isinstance(error, ContextWindowExceededError)  # its demos are too long


def _refuse_overlap(spec: ProgramSpec, name: str, examples: Sequence[Example], held_out: Sequence[Example]) -> None:
    inputs = held_out[0].input_keys
    alike = [example.with_inputs(*inputs) if inputs.issubset(example.keys()) else example for example in examples]
    shared = overlap(alike, held_out)
    if shared:
        ids = ", ".join(str(example.id) for _, example in shared[:_SHOWN])
        more = f" and {len(shared) - _SHOWN} more" if len(shared) > _SHOWN else ""
        raise ConfigurationError(
            f"@program {spec.name!r}: {len(shared)} examples of the {name} are also held out ({ids}{more}); "
            "remove them from one of the two, so that the program is scored on examples that are new to it"
        )


def _baseline(result: EvaluationResult) -> dict[str, object]:
    """Return the scores that are stored with the artifact: the mean and each held-out example's score."""
    return {
        "metric": result.metric,
        "mean": result.mean,
        "n": len(result),
        "scores": result.scores,
    }
