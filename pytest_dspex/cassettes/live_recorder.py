"""The recorder of a live session, which records nothing: it counts the calls. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from dspex_core.plugin_api import UsageTracker
from pytest_dspex.cassettes.session_recorder import SessionRecorder

if TYPE_CHECKING:
    from dspex_core import LMError, LMRequest, LMResponse
    from dspex_core.plugin_api import WorkerRecorder
    from pytest_dspex.cassettes.exchange import HTTPReply, HTTPRequest


class LiveRecorder(SessionRecorder):
    """Counts the calls of one test, or of all that no test's context reaches.

    Equal requests with equal `rollout_id`s get one reply in a test, as the id names the reply that is wanted. They are
    never answered by the session's cache, which other tests share.
    """

    def __init__(self, tracker: UsageTracker | None = None) -> None:
        self.tracker = tracker if tracker is not None else UsageTracker()
        self._lock = threading.Lock()
        self._rollouts: dict[str, LMResponse] = {}

    def of_test(self) -> LiveRecorder:
        """Return a recorder for one test, which counts for the same session."""
        return LiveRecorder(self.tracker)

    def replay(self, model: str, request: LMRequest) -> LMResponse | None:
        """Return the reply to an earlier request with the same `rollout_id`, if there was one."""
        if request.rollout_id is None or not request.is_sampled:
            return None
        with self._lock:
            found = self._rollouts.get(request.key(model))
        if found is not None:
            self.tracker.add(model, found)
        return found

    def record(self, model: str, request: LMRequest, response: LMResponse) -> None:
        """Count a response."""
        self.tracker.add(model, response)
        if request.rollout_id is not None and request.is_sampled:
            with self._lock:
                self._rollouts[request.key(model)] = replace(response, cached=True, cost=0.0)

    def fail(self, model: str, request: LMRequest, error: LMError) -> None:
        """Take the error of a call that failed."""

    def for_worker(self) -> WorkerRecorder:
        """Return what notes the calls in the workers of an executor."""
        from pytest_dspex.cassettes.in_workers import LiveInWorkers  # only tests with an executor need it

        return LiveInWorkers()

    def replay_http(self, request: HTTPRequest) -> HTTPReply | None:
        """Return `None`: the request has to be sent."""
        return None

    def record_http(self, request: HTTPRequest, reply: HTTPReply) -> None:
        """Take the reply of a server."""

    def taken(self) -> None:
        """Return `None`: another run asks anew."""

    def take_miss(self) -> None:
        """Return `None`: nothing has to be recorded."""

    def begin_again(self) -> None:
        """Forget the replies, as the test is run again."""
        with self._lock:
            self._rollouts.clear()


def spent(tracker: UsageTracker) -> Counter[str]:
    """Return the numbers of calls that were asked and that the session's cache answered, the tokens and the dollars."""
    tokens = sum(usage.total_tokens for usage in tracker.paid_by_model.values())
    counts = Counter[str](asked=tracker.calls - tracker.cached_calls, cached=tracker.cached_calls, tokens=tokens)
    counts["dollars"] = tracker.cost if counts["asked"] else 0  # type: ignore[assignment]  # sums may be of any numbers
    return counts
