"""Programs that run another one several times and keep its best prediction. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
import math
import numbers
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.config import context, current
from dspex_core.errors import BudgetExceededError, ConfigurationError
from dspex_core.errors.printable import printable
from dspex_core.flow.steps import Call
from dspex_core.metrics.score import as_score
from dspex_core.plain.counts import whole_number
from dspex_core.plain.display import error_text
from dspex_core.programs.attempts.advice import give, offer_advice
from dspex_core.programs.base import Module, running

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dspex_core.config.contracts import Trace
    from dspex_core.flow.steps import Flow
    from dspex_core.programs.base import Predictor

_log = logging.getLogger("dspex")


@dataclass(frozen=True, slots=True)
class _Attempt:
    prediction: Any
    trace: Trace
    reward: float


class BestOfN(Module):
    """Runs a program up to `N` times and returns the prediction with the highest reward.

    Each attempt is made with a copy of the program, at temperature 1 unless a predictor has one of
    its own, and differs from the others in caches and cassettes (`rollout_id`). Of all
    attempts, only the trace of the chosen one is kept.

    Args:
        module: The program.
        N: How many attempts there are at most.
        reward_fn: `reward_fn(inputs, prediction)`, sync or async, returns a number, the higher the better.
        threshold: The reward that is good enough to stop at; `None` to make all attempts.
        fail_count: How many attempts may fail before the error of the last is raised; `N` by default.

    Raises on a call:
        Exception: What the last attempt raised, when more than `fail_count` or all of them failed.
        BudgetExceededError: The budget ran out; no more attempts are made.
    """

    def __init__(
        self,
        module: Module,
        N: int,  # noqa: N803  DSPy's name
        reward_fn: Callable[[dict[str, Any], Any], Any],
        threshold: float | None,
        fail_count: int | None = None,
    ) -> None:
        if not isinstance(module, Module):
            raise ConfigurationError(f"module must be a program, not {module!r}; wrap a function in a Module's forward")
        if not callable(reward_fn):
            raise ConfigurationError(f"reward_fn must be a function of inputs and prediction, not {reward_fn!r}")
        if threshold is not None and (not isinstance(threshold, numbers.Real) or math.isnan(threshold)):
            raise ConfigurationError(f"threshold must be a number, or None to make all attempts, not {threshold!r}")
        self.module = module
        self.N = whole_number("N", N, why="it is how many attempts are made")
        # The bound method of a reward that is a program itself, so that its predictors are not this program's.
        self.reward_fn = reward_fn.__call__ if isinstance(reward_fn, Module) else reward_fn
        self.threshold = threshold
        self.fail_count = self.N if fail_count is None else whole_number("fail_count", fail_count, least=0)

    def flow(self, **inputs: Any) -> Flow[Any]:
        """Make attempts until one is good enough."""
        best: _Attempt | None = None
        advice: Mapping[str, str] = {}
        failures = 0
        for number in range(self.N):
            try:
                attempt = yield from self._attempt(number, inputs, advice)
                if best is None or attempt.reward > best.reward:
                    best = attempt
                if self._is_good(attempt) or number == self.N - 1:
                    break
                advice = yield from self._advice(attempt, inputs)
            except BudgetExceededError:
                raise
            except Exception as error:
                failures += 1
                _log.warning("attempt %d of %d failed: %s", number + 1, self.N, printable(error_text(error)))
                if failures > self.fail_count or (best is None and number == self.N - 1):
                    raise
        assert best is not None, "without one, the last error was raised"
        trace = current().trace
        if trace is not None:
            trace.extend(best.trace)
        return best.prediction

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the arguments as they were given."""
        names = ("module", "N", "reward_fn", "threshold", "fail_count")
        return {name: getattr(self, name) for name in names}

    def _attempt(self, number: int, inputs: dict[str, Any], advice: Mapping[str, str]) -> Flow[_Attempt]:
        module = self.module.deepcopy()
        predictors = dict(module.every_predictor())
        for path, predictor in predictors.items():
            predictor.config = _sampled(predictor, number)
            if path in advice:
                give(predictor, advice[path])
        with context(trace=[]) as settings:
            assert settings.trace is not None, "it was set just now"
            prediction = yield from running(module, **inputs)
            trace = _of_originals(list(settings.trace), predictors, self.module)
            score = as_score((yield Call(self.reward_fn, (dict(inputs), prediction))))
        return _Attempt(prediction, trace, score.value)

    def _is_good(self, attempt: _Attempt) -> bool:
        return self.threshold is not None and attempt.reward >= self.threshold

    def _advice(self, attempt: _Attempt, inputs: dict[str, Any]) -> Flow[Mapping[str, str]]:
        """Return the advice for each predictor in the next attempt, by its path."""
        return {}
        yield  # makes it a flow


class Refine(BestOfN):
    """`BestOfN`, where each attempt gets advice on what was wrong with the one before.

    An LM is shown what the program did, how the reward is computed and how high it was. What it
    advises a predictor to do is a further input, `hint_`, of that predictor in the next attempt.
    Advice that could not be had counts as a failed attempt; the next one has that of before.

    Args:
        module, N, reward_fn, threshold, fail_count: As for `BestOfN`.
    """

    def _advice(self, attempt: _Attempt, inputs: dict[str, Any]) -> Flow[Mapping[str, str]]:
        return offer_advice(
            self.module,
            self.reward_fn,
            inputs=inputs,
            outputs=attempt.prediction,
            trace=attempt.trace,
            reward=attempt.reward,
            threshold=self.threshold,
        )


def _sampled(predictor: Predictor, number: int) -> dict[str, Any]:
    """Return the config that makes the calls of an attempt unlike those of the others."""
    lm = predictor.lm or current().lm
    first = predictor.config.get("rollout_id") or (lm.config.get("rollout_id") if lm is not None else None) or 0
    return {"temperature": 1.0, **predictor.config, "rollout_id": first + number}


def _of_originals(trace: Trace, copies: Mapping[str, Predictor], module: Module) -> Trace:
    """Return an attempt's trace as that of the program itself, whose predictors optimizers know."""
    originals = dict(module.every_predictor())
    names = {id(predictor): path for path, predictor in copies.items()}
    return [(originals[names[id(p)]] if id(p) in names else p, inputs, found) for p, inputs, found in trace]
