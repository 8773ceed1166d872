"""What an optimizer's run asks and tries, seen through telemetry's events, and its limit. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from dspex_core import Budget
from dspex_core.plugin_api import EvaluationResult, list_price
from pytest_dspex.optimizing.results import Candidate, Spent

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex_core import LMResponse
    from dspex_core.plugin_api import Event


class Watcher:
    """Counts LM calls, and keeps the optimizer's candidates as they are scored; a listener of events."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._spent = Spent()
        self._before = Spent()  # what was spent before the present candidate
        self._evaluation: EvaluationResult | None = None  # of the present candidate
        self._candidates: list[Candidate] = []

    @property
    def spent(self) -> Spent:
        """All that was asked so far, answers from a cassette or a journal included."""
        with self._lock:
            return self._spent

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates so far; the best one is chosen, of equally good ones the earlier."""
        best = max(self._candidates, key=lambda candidate: candidate.score, default=None)
        return tuple(
            Candidate(each.name, each.score, each.low, each.high, each.n, each.spent, is_chosen=each is best)
            for each in self._candidates
        )

    def listen(self, event: Event) -> None:
        """Take an event."""
        match event.name:
            case "dspex.lm.stop":
                self._add(event.attributes["instance"].model, event.attributes["result"])
            case "dspex.candidate.start":
                self._before, self._evaluation = self.spent, None
            case "dspex.evaluate.stop":
                result = event.attributes.get("result")
                self._evaluation = result if isinstance(result, EvaluationResult) else None
            case "dspex.candidate.stop":
                self._add_candidate(event)

    def _add(self, model: str, response: LMResponse) -> None:
        usage = response.usage
        cost = response.cost if response.cost is not None else list_price(model, usage)
        with self._lock:
            spent = self._spent
            dollars = spent.dollars + (cost or 0.0)
            self._spent = Spent(spent.calls + 1, spent.tokens + usage.total_tokens, dollars)

    def _add_candidate(self, event: Event) -> None:
        facts, evaluation, spent = event.attributes, self._evaluation, self.spent
        name = f"candidate {facts['number']} of {facts['total']}"
        before = self._before
        own = Spent(spent.calls - before.calls, spent.tokens - before.tokens, spent.dollars - before.dollars)
        interval = evaluation.interval if evaluation is not None and len(evaluation) else None
        low, high = (interval.low, interval.high) if interval is not None else (None, None)
        n = len(evaluation) if evaluation is not None else None
        self._candidates.append(Candidate(name, facts["score"], low, high, n, own))
        self._say(f"{name}: {facts['score']:.3f} (best {facts['best']:.3f})")


class Limit(Budget):
    """The budget of a session's `--dspex-optimize`."""

    def __init__(self, *, calls: int | None, dollars: float | None) -> None:
        super().__init__(calls=calls, dollars=dollars)

    def check(self) -> None:
        """Raise the error with which a call was refused, also one that an optimizer has swallowed."""
        if self.refused is not None:
            raise self.refused
