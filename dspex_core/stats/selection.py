"""The score of the best of several candidates, without the optimism of having chosen it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.stats.checks import check_values

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def best_of(candidates: Sequence[Sequence[float]], *, seed: int = 0, resamples: int = 1000) -> Selected:
    """Return the candidate with the highest mean, and what its mean is without the optimism of the choice.

    The choice is repeated on bootstrap samples of the rows, and the one chosen is scored on the rows that are not in
    the sample (BBC-CV, Tsamardinos, Greasidou and Borboudakis 2018, "Bootstrapping the out-of-sample predictions for
    efficient and accurate cross-validation"). With one candidate, the mean is as it is.

    Args:
        candidates: For each candidate the scores of the same rows, in the same order.
        seed: Of the samples.
        resamples: How many samples are drawn.

    Raises:
        ConfigurationError: There is no candidate, one has other rows, or a score is not finite.
    """
    sizes = {len(scores) for scores in candidates}
    if len(sizes) != 1:
        raise ConfigurationError(f"candidates need scores of the same rows, not of {sorted(sizes)}")
    for scores in candidates:
        check_values(scores)
    with foreign_code():
        import numpy as np  # only where something was chosen

    table = np.asarray(candidates, dtype=float)
    of, n = table.shape
    means = table.mean(axis=1)
    index = int(means.argmax())
    score = float(means[index])
    if of == 1 or n == 1:
        return Selected(index, score, score, of, n)
    draws = np.random.RandomState(seed)
    found = []
    for _ in range(resamples):
        counts = np.bincount(draws.randint(0, n, n), minlength=n)
        outside = counts == 0
        if outside.any():
            chosen = int((table @ counts).argmax())
            found.append(table[chosen, outside].mean())
    corrected = min(score, float(np.mean(found))) if found else score
    return Selected(index, score, corrected, of, n)
