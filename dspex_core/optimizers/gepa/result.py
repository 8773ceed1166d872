"""What GEPA has found beside the best program. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dspex_core.programs.base import Module


@dataclass(frozen=True, eq=False)
class GEPAResult:
    """All candidates of a compile, with their scores; rows are numbered by their places in the valset.

    Args:
        candidates: The programs, the student's own first.
        parents: Of which candidates each was made.
        val_aggregate_scores: The mean score of each.
        val_subscores: The score of each candidate on each row.
        per_val_instance_best_candidates: The Pareto front: which candidates are best on a row.
        discovery_eval_counts: How many runs on examples there had been before each was found.
        best_outputs_valset: For each row the candidates that are best on it, with what they returned.
        total_metric_calls: How many runs on examples there were in all.
        num_full_val_evals: How many candidates ran on the whole valset.
        log_dir: Where the journal is, if `log_dir` was given.
        seed: What decided everything random.
    """

    candidates: list[Module]
    parents: list[list[int | None]]
    val_aggregate_scores: list[float]
    val_subscores: list[dict[int, float]]
    per_val_instance_best_candidates: dict[int, set[int]]
    discovery_eval_counts: list[int]
    best_outputs_valset: dict[int, list[tuple[int, Any]]] | None = None
    total_metric_calls: int | None = None
    num_full_val_evals: int | None = None
    log_dir: str | None = None
    seed: int | None = None

    @classmethod
    def of(
        cls,
        state: Any,
        program: Callable[[Mapping[str, str]], Module],
        *,
        scores: Callable[[Mapping[str, str]], dict[int, float]],
        log_dir: str | None,
        seed: int,
    ) -> GEPAResult:
        """Return the result of the library's state."""
        texts = list(state.program_candidates)
        subscores = [scores(each) for each in texts]
        fronts = {int(row): set(front) for row, front in sorted(state.program_at_pareto_front_valset.items())}
        best = getattr(state, "best_outputs_valset", None)
        return cls(
            candidates=[program(each) for each in texts],
            parents=[list(each) for each in state.parent_program_for_candidate],
            val_aggregate_scores=[sum(each.values()) / len(each) for each in subscores],
            val_subscores=subscores,
            per_val_instance_best_candidates=fronts,
            discovery_eval_counts=list(state.num_metric_calls_by_discovery),
            best_outputs_valset=None if best is None else {int(row): list(outputs) for row, outputs in best.items()},
            total_metric_calls=state.total_num_evals,
            num_full_val_evals=state.num_full_ds_evals,
            log_dir=log_dir,
            seed=seed,
        )

    @property
    def best_idx(self) -> int:
        """The number of the candidate with the highest mean, of equal ones the first."""
        scores = self.val_aggregate_scores
        return max(range(len(scores)), key=scores.__getitem__)

    @property
    def best_candidate(self) -> Module:
        """The program with the highest mean."""
        return self.candidates[self.best_idx]

    @property
    def highest_score_achieved_per_val_task(self) -> dict[int, float]:
        """The best score on each row, whichever candidate has it."""
        return {
            row: self.val_subscores[min(front)][row] for row, front in self.per_val_instance_best_candidates.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return it as data: candidates as instructions by the predictors' paths."""
        fields = {name: value for name, value in vars(self).items() if name != "candidates"}
        instructions = [
            {path: predictor.signature.instructions for path, predictor in each.named_predictors()}
            for each in self.candidates
        ]
        fronts = {row: sorted(front) for row, front in self.per_val_instance_best_candidates.items()}
        return {
            "candidates": instructions,
            **fields,
            "per_val_instance_best_candidates": fronts,
            "best_idx": self.best_idx,
        }

    def __deepcopy__(self, memo: dict[int, Any]) -> GEPAResult:
        return self  # copies of a program share it
