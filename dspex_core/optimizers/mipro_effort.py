"""How much MIPROv2 makes and tries: the options of its `compile`, with DSPy's numbers. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dspex_core.errors import ConfigurationError
from dspex_core.optimizers.search.minibatches import Schedule

if TYPE_CHECKING:
    from collections.abc import Mapping

AUTO: Mapping[str, tuple[int, int]] = {"light": (6, 100), "medium": (12, 300), "heavy": (18, 1000)}
_FULL_UP_TO = 50  # rows of a valset on which `auto` scores each candidate in full
_HELD_OUT, _MOST_HELD_OUT = 0.8, 1000  # of the trainset, where no valset is given


@dataclass(frozen=True, kw_only=True)
class MIPROv2Options:
    """The options of `MIPROv2.compile` beside those of every optimizer, and of `MIPROv2.plan`.

    Args:
        num_trials: How many combinations are tried; needed with `auto=None`.
        max_bootstrapped_demos: Instead of the optimizer's own.
        max_labeled_demos: Instead of the optimizer's own.
        minibatch: Whether most combinations are scored on a part of the valset; `auto` does so from 51 rows on.
        minibatch_size: How many rows that has.
        minibatch_full_eval_steps: After how many minibatches the best is scored on the whole valset.
        program_aware_proposer: Whether the default proposer shows the program's source.
        data_aware_proposer: Whether it describes the data.
        view_data_batch_size: How many examples it describes at once.
        tip_aware_proposer: Whether it gives tips.
        fewshot_aware_proposer: Whether it shows accepted calls.
        requires_permission_to_run: No effect: nobody is asked; `plan` says what a compile will take.
        provide_traceback: No effect: the log has what failed.
    """

    num_trials: int | None = None
    max_bootstrapped_demos: int | None = None
    max_labeled_demos: int | None = None
    minibatch: bool = True
    minibatch_size: int = 35
    minibatch_full_eval_steps: int = 5
    program_aware_proposer: bool = True
    data_aware_proposer: bool = True
    view_data_batch_size: int = 10
    tip_aware_proposer: bool = True
    fewshot_aware_proposer: bool = True
    requires_permission_to_run: bool | None = None
    provide_traceback: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What decides how much is made and tried.

    Args:
        auto: `"light"`, `"medium"`, `"heavy"`, or `None` for the numbers below.
        candidates: How many instructions, and how many sets of demos, there are for a predictor.
        trials: How many combinations are tried, after the program as it is.
        bootstrapped: How many demos at most are bootstrapped for a set.
        labeled: How many demos a set has in all, if labels are needed to fill up.
        minibatch: Whether most candidates are scored on a part of the valset.
        minibatch_size: How many rows that has.
        full_every: After how many minibatches the best is scored on the whole valset.
        racing: Whether candidates that are clearly worse are not scored on the whole of it.
    """

    auto: str | None
    candidates: int | None
    trials: int | None
    bootstrapped: int
    labeled: int
    minibatch: bool
    minibatch_size: int
    full_every: int
    racing: bool = False

    def check(self, predictors: int) -> None:
        """Refuse numbers that contradict each other, as DSPy does.

        Raises:
            ConfigurationError: `auto` is given with numbers, or neither; or a number is too small.
        """
        if self.auto is not None and (self.candidates is not None or self.trials is not None):
            raise ConfigurationError(
                f"auto={self.auto!r} decides num_candidates and num_trials: leave them out, or pass auto=None"
            )
        if self.auto is None and self.candidates is None:
            raise ConfigurationError(
                "without `auto`, num_candidates (of MIPROv2) and num_trials (of compile) are needed"
            )
        if self.auto is None and self.trials is None:
            useful = self.useful_trials(predictors)
            raise ConfigurationError(
                f"without `auto`, num_trials is needed: about {useful} for num_candidates={self.candidates}"
            )
        least = {"num_trials": (self.trials, 0), "minibatch_size": (self.minibatch_size, 1)}
        least["minibatch_full_eval_steps"] = (self.full_every, 1)
        least |= {"max_bootstrapped_demos": (self.bootstrapped, 0), "max_labeled_demos": (self.labeled, 0)}
        for name, (value, smallest) in least.items():
            if value is not None and value < smallest:
                raise ConfigurationError(f"{name} must be at least {smallest}, not {value!r}")

    @property
    def is_zero_shot(self) -> bool:
        """Whether instructions alone are searched."""
        return self.bootstrapped == 0 and self.labeled == 0

    @property
    def demo_sets(self) -> int:
        """How many sets of demos are made, beside the program's own demos; 0 where there is no choice of them."""
        return 0 if self.is_zero_shot else max(0, self._candidates - 1)

    @property
    def instructions(self) -> int:
        """How many instructions are written for each predictor, beside its own.

        Where demos are searched, `auto` has half as many instructions as sets of demos.
        """
        all_of_them = self._candidates if self.auto is None or self.is_zero_shot else self._candidates // 2
        return max(0, all_of_them - 1)

    def rows(self, given: int) -> int:
        """Return how many rows of a valset candidates are chosen by."""
        return given if self.auto is None else min(given, AUTO[self.auto][1])

    def schedule(self, predictors: int, rows: int) -> Schedule:
        """Return what is scored.

        Raises:
            ConfigurationError: A minibatch is larger than the valset.
        """
        trials = self.useful_trials(predictors) if self.trials is None else self.trials
        if not (self.minibatch if self.auto is None else rows > _FULL_UP_TO):
            return Schedule(trials=trials, racing=self.racing)
        if self.minibatch_size > rows:
            raise ConfigurationError(
                f"minibatch_size={self.minibatch_size} is more than the {rows} rows of the valset: "
                "pass a smaller one, or minibatch=False"
            )
        return Schedule(trials=trials, minibatch=self.minibatch_size, full_every=self.full_every, racing=self.racing)

    def useful_trials(self, predictors: int) -> int:
        """Return how many trials there should be for so many predictors."""
        dimensions = predictors * (1 if self.is_zero_shot else 2)
        return int(max(2 * dimensions * math.log2(self._candidates), 1.5 * self._candidates))

    @property
    def _candidates(self) -> int:
        return AUTO[self.auto][0] if self.auto is not None else self.candidates or 1


def held_out_fraction(size: int) -> float:
    """Return which part of a trainset becomes the valset where none is given."""
    return min(_HELD_OUT, _MOST_HELD_OUT / size)
