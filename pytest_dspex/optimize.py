"""`--dspex-optimize`: recompile a program, compare it with the one in use, keep the better. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dspex_core import ConfigurationError, Evaluate, EvaluationResult
from dspex_core.datasets import overlap
from dspex_core.stats import paired_p

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dspex_core import Example, Module
    from pytest_dspex.programs import ProgramSpec

TOLERANCE = 0.02  # a drop of up to two points is never called a regression
SIGNIFICANCE = 0.05

Outcome = Literal["improved", "not better", "regressed"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Incumbent and candidate on the same held-out examples.

    Args:
        p_value: Of the difference, paired; exact McNemar for scores of 0 and 1.
        lost: Ids of the examples on which the candidate scores less.
        gained: Ids of those on which it scores more.
    """

    incumbent: EvaluationResult
    candidate: EvaluationResult
    p_value: float
    lost: tuple[str, ...]
    gained: tuple[str, ...]

    @property
    def outcome(self) -> Outcome:
        """Better by any margin is improved; worse beyond tolerance and chance is regressed."""
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
    names = [str(before.example.id) for before, _ in pairs]
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
    """Compile a program and put the result in place of its artifact if it is better on the held-out examples.

    Raises:
        ConfigurationError: There is nothing to compile with or to compare on, or the held-out
            examples are also among those that the program is compiled on.
    """
    optimizer = spec.optimizer
    metric = spec.metric or (optimizer.metric if optimizer else None)
    if optimizer is None or metric is None:
        raise ConfigurationError(f"@program {spec.name}: give it an optimizer and a metric to be optimized")
    if not testset:
        raise ConfigurationError(f"@program {spec.name} has no held-out examples: give it a testset")
    trainset = [] if spec.trainset is None else spec.examples(spec.trainset)
    valset = None if spec.valset is None else spec.examples(spec.valset)
    _refuse_overlap(spec, "trainset", overlap(trainset, testset))
    _refuse_overlap(spec, "valset", overlap(valset or [], testset))

    def score(program: Module) -> EvaluationResult:
        return Evaluate(
            devset=testset, metric=metric, num_threads=concurrency, max_errors=len(testset), display_progress=True
        )(program)

    stored = "the stored artifact" if spec.artifact.exists() else "the uncompiled program"
    say(f"scoring {stored} on {len(testset)} held-out examples")
    incumbent = score(spec.load())
    say(f"{stored}: {incumbent.mean:.3f}; compiling with {optimizer!r}")
    candidate = optimizer.compile(spec.build(), trainset=trainset, valset=valset)
    say("scoring the candidate")
    comparison = compare(incumbent, score(candidate))
    if comparison.outcome == "improved":
        candidate.save(spec.artifact, metadata=_baseline(comparison.candidate))
        say(f"{comparison}; written to {_short(spec.artifact)}")
    else:
        say(f"{comparison}; {stored} stays")
    return comparison


def regression_message(spec: ProgramSpec, comparison: Comparison) -> str:
    """Say what a regression lost."""
    examples = {str(case.example.id): case for case in comparison.candidate.cases}
    lines = [f"{spec.name} regressed: the recompiled program is worse; {_short(spec.artifact)} was kept.", str(comparison)]
    for name in comparison.lost:
        case = examples[name]
        lines.append(f"  lost {name}: {case.error or case.score.feedback or case.prediction}")
    return "\n".join(lines)


def _refuse_overlap(spec: ProgramSpec, name: str, shared: Sequence[tuple[Example, Example]]) -> None:
    if shared:
        ids = ", ".join(str(held_out.id) for _, held_out in shared[:5])
        more = f" and {len(shared) - 5} more" if len(shared) > 5 else ""  # noqa: PLR2004  as many as are shown
        raise ConfigurationError(
            f"@program {spec.name}: {len(shared)} examples of the {name} are also held out ({ids}{more}); "
            "a program must be tested on examples that it was not compiled on"
        )


def _baseline(result: EvaluationResult) -> dict[str, object]:
    """What the artifact says of its own quality: the mean and each held-out example's score."""
    return {
        "metric": result.metric,
        "mean": result.mean,
        "n": len(result),
        "scores": {str(case.example.id): case.score.value for case in result.cases},
    }


def _short(path: Path) -> str:
    return "/".join(path.parts[-3:])
