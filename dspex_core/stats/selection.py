"""The score of the best of several candidates, without the optimism of having chosen it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.stats.checks import check_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Selected:
    """The best of several candidates on the same rows.

    Args:
        index: Its place among the candidates, from 0; of equal ones the first.
        score: Its mean on the rows by which it was chosen.
        corrected: What to expect of it on new rows.
        of: How many candidates there were.
        n: How many rows.
    """

    index: int
    score: float
    corrected: float
    of: int
    n: int

    @property
    def optimism(self) -> float:
        """By how much the score is too high for having been chosen."""
        return self.score - self.corrected


def best_of(candidates: Sequence[Sequence[float | None]], *, seed: int = 0, resamples: int = 1000) -> Selected:
    """Return the candidate with the highest mean, and what its mean is without the optimism of the choice.

    The choice is repeated on bootstrap samples of the rows, and the one chosen is scored on the rows that are not in
    the sample (BBC-CV, Tsamardinos, Greasidou and Borboudakis 2018, "Bootstrapping the out-of-sample predictions for
    efficient and accurate cross-validation"). With one candidate, the mean is as it is.

    A candidate that was dropped early was tried, too, though it cannot be the best one. For the choices that are
    repeated, the scores that it lacks are drawn: what the others score on the row, its own distance from them, and
    the rest that one of their scores has.

    Args:
        candidates: For each candidate the scores of the same rows, in the same order; `None` where it did not run.
        seed: Of the samples.
        resamples: How many samples are drawn.

    Raises:
        ConfigurationError: No candidate ran on all rows, one has other rows, or a score is not finite.
    """
    sizes = {len(scores) for scores in candidates}
    if len(sizes) != 1:
        raise ConfigurationError(f"candidates need scores of the same rows, not of {sorted(sizes)}")
    for scores in candidates:
        check_values([score for score in scores if score is not None])
    with foreign_code():
        import numpy as np  # only where something was chosen

    table = np.asarray(candidates, dtype=float)  # None becomes NaN
    of, n = table.shape
    means = table.mean(axis=1)
    if np.isnan(means).all():
        raise ConfigurationError(f"none of {of} candidates has scores of all {n} rows")
    index = int(np.nanargmax(means))
    score = float(means[index])
    if of == 1 or n == 1:
        return Selected(index, score, score, of, n)
    draws = np.random.RandomState(seed)
    _fill(table, draws)
    found = list(_chosen_anew(table, draws, resamples))
    corrected = min(score, float(np.mean(found))) if found else score
    return Selected(index, score, corrected, of, n)


def _chosen_anew(table: Any, draws: Any, resamples: int) -> Iterator[float]:
    """Choose on samples of the rows, and yield what the chosen one scores on the other rows."""
    with foreign_code():
        import numpy as np  # only where something was chosen

    n = table.shape[1]
    for _ in range(resamples):
        counts = np.bincount(draws.randint(0, n, n), minlength=n)
        outside = counts == 0
        if outside.any():
            chosen = int((table @ counts).argmax())
            yield float(table[chosen, outside].mean())


def _fill(table: Any, draws: Any) -> None:
    """Draw the scores that are missing in a table, in which some candidates have all."""
    with foreign_code():
        import numpy as np  # only where something was chosen

    missing = np.isnan(table)
    full = table[~missing.any(axis=1)]
    of_row, count = full.mean(axis=0), len(full)
    rest = full - of_row
    rest -= rest.mean(axis=1, keepdims=True)
    rest *= (count / max(1, count - 1)) ** 0.5  # the mean of the row has the score itself in it
    for scores, gaps in zip(table, missing, strict=True):
        if gaps.any():
            distance = (scores - of_row)[~gaps].mean() if not gaps.all() else 0.0
            scores[gaps] = of_row[gaps] + distance + draws.choice(rest.ravel(), int(gaps.sum()))
