"""What an optimizer's run asks and tries, seen through telemetry's events, and its limit. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import threading
from dataclasses import replace
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
        whole = [candidate for candidate in self._candidates if candidate.is_whole]
        best = max(whole, key=lambda candidate: candidate.score, default=None)
        return tuple(replace(each, is_chosen=each is best) for each in self._candidates)

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
        facts, trial = event.attributes, event.attributes.get("trial")
        total = "" if facts.get("total") is None else f" of {facts['total']}"
        what = f" ({facts['name']})" if "name" in facts else ""
        name = f"candidate {facts['number']}{total}{what}"
        if trial is None:  # of an optimizer that writes its own `compile`
            evaluation, spent, before = self._evaluation, self.spent, self._before
            own = Spent(spent.calls - before.calls, spent.tokens - before.tokens, spent.dollars - before.dollars)
            n = None if evaluation is None else len(evaluation)
            interval = evaluation.interval if evaluation is not None and n else None
        else:
            own = Spent(trial.spent.calls, trial.spent.tokens, trial.spent.dollars)
            n, interval = trial.n, trial.interval if trial.n else None
        low, high = (None, None) if interval is None else (interval.low, interval.high)
        is_whole = trial is None or trial.is_full
        self._candidates.append(Candidate(name, facts["score"], low, high, n, own, is_whole=is_whole))
        part = "" if trial is None or trial.is_full else f", on {n} of {trial.total} rows"
        self._say(f"{name}: {facts['score']:.3f}{part} (best {facts['best']:.3f})")


class Limit(Budget):
    """The budget of a session's `--dspex-optimize`."""

    def __init__(self, *, calls: int | None, dollars: float | None) -> None:
        super().__init__(calls=calls, dollars=dollars)

    def check(self) -> None:
        """Raise the error with which a call was refused, also one that an optimizer has swallowed."""
        if self.refused is not None:
            raise self.refused
