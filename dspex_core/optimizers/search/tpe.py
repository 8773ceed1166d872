"""Choices in several dimensions, proposed by Optuna's tree-structured Parzen estimator. PYTEST_DONT_REWRITE

Source: Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization".
"""

from __future__ import annotations

import itertools
import logging
import math
from typing import TYPE_CHECKING, Any

from dspex_core.errors.foreign_code import foreign_code
from dspex_core.errors.optional import optional
from dspex_core.optimizers.demos import seeded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Choices = dict[str, int]


class TPE:
    """Proposes one choice in each dimension, from the scores of those before.

    The same dimensions, seed and scores give the same proposals.

    Args:
        sizes: How many choices each dimension has, by its name; a choice is a number from 0.
        seed: Decides everything random.
        startup: How many scores there must be before the estimator replaces random choices.
        first: What is proposed first, in this order.
        patience: How often a proposal may be known already before another is drawn at random.

    Raises:
        ConfigurationError: Optuna is not installed.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        *,
        seed: int,
        startup: int = 10,
        first: Sequence[Mapping[str, int]] = (),
        patience: int = 50,
    ) -> None:
        optuna = needed_optuna()
        with foreign_code(), _Quiet():
            sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup, multivariate=True)
            self._study: Any = optuna.create_study(study_name="dspex", direction="maximize", sampler=sampler)
            self._space = {
                name: optuna.distributions.CategoricalDistribution(list(range(size))) for name, size in sizes.items()
            }
        self._sizes = dict(sizes)
        self._rng = seeded(seed)
        self._patience = patience
        self._first = list(first)
        self._known: dict[tuple[int, ...], float] = {}

    @property
    def combinations(self) -> int:
        """How many different proposals there are."""
        return math.prod(self._sizes.values())

    def ask(self, *, again: bool = False) -> Choices | None:
        """Return the next proposal.

        Args:
            again: Whether one that has a score may be proposed once more.

        Returns:
            A choice for each dimension, or `None` when each combination has a score.
        """
        while self._first:
            choices = dict(self._first.pop(0))
            if again or self._key(choices) not in self._known:
                return choices
        if not again and len(self._known) >= self.combinations:
            return None
        for _ in range(self._patience):
            choices = self._drawn()
            if again or self._key(choices) not in self._known:
                return choices
        return self._unknown()

    def tell(self, choices: Mapping[str, int], score: float) -> None:
        """Take the score of choices; also of such as were not proposed."""
        optuna = needed_optuna()
        self._known[self._key(choices)] = score
        with foreign_code():
            trial = optuna.trial.create_trial(params=dict(choices), distributions=self._space, value=score)
            self._study.add_trial(trial)

    def _drawn(self) -> Choices:
        """Let Optuna propose; the proposal is taken back, since `tell` adds it with its score."""
        optuna = needed_optuna()
        with foreign_code():
            trial = self._study.ask(self._space)
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return {name: int(trial.params[name]) for name in self._space}

    def _unknown(self) -> Choices:
        """Return a random combination without a score, where the estimator insists on known ones."""
        for _ in range(100):
            choices = {name: self._rng.randrange(size) for name, size in self._sizes.items()}
            if self._key(choices) not in self._known:
                return choices
        for key in itertools.product(*map(range, self._sizes.values())):
            if key not in self._known:
                return dict(zip(self._sizes, key, strict=True))
        raise AssertionError("each combination is known")

    def _key(self, choices: Mapping[str, int]) -> tuple[int, ...]:
        return tuple(choices[name] for name in self._sizes)


def needed_optuna() -> Any:
    """Import Optuna, which takes half a second.

    Raises:
        ConfigurationError: It is not installed.
    """
    return optional("optuna", "this optimizer needs Optuna", extra="optimize")


class _Quiet:
    """Keeps Optuna from writing to the terminal that it made a study, in a block."""

    _log = logging.getLogger("optuna")

    def __enter__(self) -> None:
        self._level = self._log.level
        self._log.setLevel(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        self._log.setLevel(self._level)
