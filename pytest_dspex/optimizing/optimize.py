"""`--dspex-optimize`: recompile a program, compare it with the stored one, keep the better. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dspex_core import (
    ArtifactError,
    ConfigurationError,
    ContextWindowExceededError,
    Evaluate,
    EvaluationError,
    EvaluationResult,
    LMError,
)
from dspex_core.plugin_api import overlap, paired_p

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dspex_core import Example, Module
    from pytest_dspex.programs import ProgramSpec

TOLERANCE = 0.02  # a drop of up to two points is never a regression
SIGNIFICANCE = 0.05

_SHOWN = 5  # ids of examples in a message

Outcome = Literal["improved", "not better", "regressed"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The results of incumbent and candidate on the same held-out examples.

    Args:
        incumbent: The result of the stored program, or of the uncompiled one.
        candidate: The result of the recompiled program.
        p_value: The p-value of the paired difference; exact McNemar for scores of 0 and 1.
        lost: The ids of the examples on which the candidate scores lower.
        gained: The ids of the examples on which it scores higher.
    """

    incumbent: EvaluationResult
    candidate: EvaluationResult
    p_value: float
    lost: tuple[str, ...]
    gained: tuple[str, ...]

    @property
    def outcome(self) -> Outcome:
        """The outcome: better by any margin is improved, worse beyond tolerance and chance is regressed."""
        difference = self.candidate.mean - self.incumbent.mean
        if difference > 0:
            return "improved"
        if difference < -TOLERANCE and self.p_value < SIGNIFICANCE:
            return "regressed"
        return "not better"

    def __str__(self) -> str:
        return (
            f"{self.outcome}: incumbent {self.incumbent.mean:.3f}, candidate {self.candidate.mean:.3f} "
            f"({self.incumbent.metric}, n={len(self.candidate)}, {len(self.gained)} gained, {len(self.lost)} lost, "
            f"p={self.p_value:.3f})"
        )


def compare(incumbent: EvaluationResult, candidate: EvaluationResult) -> Comparison:
    """Compare two evaluations of the same examples, pair by pair."""
    pairs = list(zip(incumbent.cases, candidate.cases, strict=True))
    differences = [after.score.value - before.score.value for before, after in pairs]
    names = _names(incumbent)
    return Comparison(
        incumbent=incumbent,
        candidate=candidate,
        p_value=paired_p(differences),
        lost=tuple(name for name, difference in zip(names, differences, strict=True) if difference < 0),
        gained=tuple(name for name, difference in zip(names, differences, strict=True) if difference > 0),
    )


def optimize(
    spec: ProgramSpec, *, testset: Sequence[Example], concurrency: int, say: Callable[[str], None]
) -> Comparison:
    """Compile a program, and replace its artifact if the result is better on the held-out examples.

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
    trainset = [] if spec.trainset is None else spec.examples(spec.trainset, inputs=inputs)
    valset = None if spec.valset is None else spec.examples(spec.valset, inputs=inputs)
    _refuse_overlap(spec, "trainset", trainset, testset)
    _refuse_overlap(spec, "valset", valset or [], testset)
    score = Evaluate(
        devset=testset, metric=metric, num_threads=concurrency, max_errors=len(testset), display_progress=True
    )

    _check_storable(spec)
    stored = incumbent_name(spec)
    say(f"scoring {stored} on {len(testset)} held-out examples")
    incumbent = _trusted(score(spec.load()))
    say(f"{stored}: {incumbent.mean:.3f}; compiling with {optimizer!r}")
    candidate = _as_loaded(spec, optimizer.compile(spec.build(), trainset=trainset, valset=valset))
    say("scoring the recompiled program")
    comparison = compare(incumbent, _trusted(score(candidate)))
    if comparison.outcome == "improved":
        _store(candidate, spec, metadata=_baseline(comparison.candidate))
    return comparison


def incumbent_name(spec: ProgramSpec) -> str:
    """Return the words for the program with which a recompiled one is compared."""
    return f"the stored {'/'.join(spec.artifact.parts[-2:])}" if spec.artifact.exists() else "the uncompiled program"


def regression_message(spec: ProgramSpec, comparison: Comparison) -> str:
    """Return the message of a regression, with the examples that it lost."""
    lines = [
        f"{spec.name} {comparison}",
        f"The recompiled program is worse and was dropped: {incumbent_name(spec)} stays.",
    ]
    for name, case in zip(_names(comparison.candidate), comparison.candidate.cases, strict=True):
        if name in comparison.lost:
            lines.append(f"  lost {name}: {case.error or case.score.feedback or case.prediction}")
    return "\n".join(lines)


def _check_storable(spec: ProgramSpec) -> None:
    """Save the uncompiled program to a temporary folder, so that an error in saving comes before any LM call.

    Raises:
        ArtifactError: The program cannot be saved.
    """
    with tempfile.TemporaryDirectory(prefix="dspex-") as folder:
        spec.build().save(Path(folder, spec.artifact.name))


def _store(program: Module, spec: ProgramSpec, *, metadata: Mapping[str, object]) -> None:
    """Save the better program as the artifact, or in a temporary folder if that fails.

    Raises:
        ArtifactError: The artifact could not be written; the message says where the program is.
    """
    try:
        program.save(spec.artifact, metadata=metadata)
    except ArtifactError as error:
        rescued = Path(tempfile.mkdtemp(prefix="dspex-"), spec.artifact.name)
        program.save(rescued)
        message = f"{error}\nThe better program was saved elsewhere; move it to this place from {rescued}"
        raise ArtifactError(message, problems=error.problems) from error


def _as_loaded(spec: ProgramSpec, compiled: Module) -> Module:
    """Return the program as the tests would load it, so that the scored program is the stored one."""
    loaded = spec.build()
    loaded.load_state(compiled.dump_state())
    return loaded


def _trusted(result: EvaluationResult) -> EvaluationResult:
    """Return the result, unless the LM or the metric failed on an example.

    Raises:
        EvaluationError: One of them failed, so that the programs cannot be compared.
    """
    for name, case in zip(_names(result), result.cases, strict=True):
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


def _names(result: EvaluationResult) -> list[str]:
    """Return the names of the examples: their ids, with their numbers if ids are missing or repeated."""
    ids = [case.example.id for case in result.cases]
    count = Counter(ids)
    return [
        f"example {number}" if name is None else name if count[name] == 1 else f"{name} (example {number})"
        for number, name in enumerate(ids, 1)
    ]


def _baseline(result: EvaluationResult) -> dict[str, object]:
    """Return the scores that are stored with the artifact: the mean and each held-out example's score."""
    return {
        "metric": result.metric,
        "mean": result.mean,
        "n": len(result),
        "scores": {name: case.score.value for name, case in zip(_names(result), result.cases, strict=True)},
    }
