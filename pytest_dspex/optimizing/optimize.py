"""`--dspex-optimize`: recompile a program, compare it with the stored one, keep the better. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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
    Comparison,
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
from pytest_dspex.reports.worst import scored_cases

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dspex_core import Example, Module
    from pytest_dspex.programs import ProgramSpec

_SHOWN = 5  # ids of examples in a message


class Optimized(NamedTuple):
    """The recompiled program's evaluation, and how it compares with that of the program in use."""

    candidate: EvaluationResult
    comparison: Comparison

    def __str__(self) -> str:
        return self.comparison.describe("incumbent", "candidate")


def optimize(
    spec: ProgramSpec, program: Module, *, testset: Sequence[Example], concurrency: int, say: Callable[[str], None]
) -> Optimized:
    """Compile a program, and replace its artifact if the result is better on the held-out examples.

    `program` is as `spec` builds it; it stays so, since only copies of it are run.

    Raises:
        ConfigurationError: The program has no optimizer, metric or held-out examples, or is compiled
            on some of the held-out examples.
        ArtifactError: The stored program cannot be loaded, or the compiled one cannot be saved.
        EvaluationError: The LM or the metric failed on held-out examples.
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
    score = Evaluate(
        devset=testset, metric=metric, num_threads=concurrency, max_errors=len(testset), display_progress=True
    )

    _check_storable(program, spec)
    stored = incumbent_name(spec)
    say(f"scoring {stored} on {len(testset)} held-out examples")
    incumbent = _trusted(score(_incumbent(spec, program)))
    say(f"{stored}: {incumbent.mean:.3f}; compiling with {optimizer!r}")
    candidate = _as_loaded(program, optimizer.compile(program.deepcopy(), trainset=trainset, valset=valset))
    say("scoring the recompiled program")
    result = _trusted(score(candidate))
    comparison = compare(incumbent, result)
    if comparison.outcome == "improved" or (is_stale(spec, program) and comparison.outcome != "regressed"):
        made_of = fingerprint_of(program, optimizer, metric=metric, trainset=trainset, valset=valset, lm=current().lm)
        made_of["files"] = file_digests(spec)
        _store(candidate, spec, metadata=_baseline(result), provenance=provenance(made_of, optimizer))
    return Optimized(result, comparison)


def _datasets(
    spec: ProgramSpec, program: Module, inputs: Sequence[str], testset: Sequence[Example]
) -> tuple[list[Example], list[Example] | None]:
    """Return the trainset and the valset, which have nothing in common with the held-out examples."""
    trainset = [] if spec.trainset is None else spec.examples(spec.trainset, program=program, inputs=inputs)
    valset = None if spec.valset is None else spec.examples(spec.valset, program=program, inputs=inputs)
    _refuse_overlap(spec, "trainset", trainset, testset)
    _refuse_overlap(spec, "valset", valset or [], testset)
    return trainset, valset


def incumbent_name(spec: ProgramSpec) -> str:
    """Return the words for the program with which a recompiled one is compared."""
    return f"the stored {'/'.join(spec.artifact.parts[-2:])}" if spec.artifact.exists() else "the uncompiled program"


def regression_message(spec: ProgramSpec, optimized: Optimized) -> str:
    """Return the message of a regression, with the examples that it lost."""
    lines = [
        f"{spec.name} {optimized}",
        f"The recompiled program is worse and was dropped: {incumbent_name(spec)} stays.",
    ]
    lost = set(optimized.comparison.lost)
    lines += [f"  lost {case}" for case in scored_cases(optimized.candidate) if case.name in lost]
    return "\n".join(lines)


def _check_storable(program: Module, spec: ProgramSpec) -> None:
    """Save the uncompiled program to a temporary folder, so that an error in saving comes before any LM call.

    Raises:
        ArtifactError: The program cannot be saved.
    """
    with tempfile.TemporaryDirectory(prefix="dspex-") as folder:
        program.save(Path(folder, spec.artifact.name))


def _incumbent(spec: ProgramSpec, program: Module) -> Module:
    """Return a copy of the program with the stored state, if there is one; that may be stale."""
    copy = program.deepcopy()
    if spec.artifact.exists():
        try:
            copy.load_state(artifact_state(read_json(spec.artifact), ARTIFACT_KIND, path=spec.artifact))
        except ArtifactError as error:
            raise type(error)(error.reason, path=str(spec.artifact), problems=error.problems) from error
    return copy


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
    alike = [example.with_inputs(*inputs) if inputs <= example.keys() else example for example in examples]
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
