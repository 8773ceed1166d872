"""The LM calls of each case, noted between the program and the cassette. PYTEST_DONT_REWRITE

A call that is replayed costs one more entry in a list; the entries become values when a report needs them.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from dspex_core import LMError
from pytest_dspex.cassettes.lanes import CaseLanes, Lanes, in_program_order
from pytest_dspex.cassettes.session_recorder import SessionRecorder
from pytest_dspex.gates.records import LMCall, Spent

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from dspex_core import LMRequest, LMResponse
    from dspex_core.plugin_api import WorkerRecorder
    from pytest_dspex.cassettes.exchange import HTTPReply, HTTPRequest
    from pytest_dspex.cassettes.lanes import Lane
    from pytest_dspex.cassettes.repeats import Taken
    from pytest_dspex.gates.records import Source


class Cassette(Protocol):
    """The recorder behind a trace."""

    def replay(self, model: str, request: LMRequest) -> LMResponse | None:
        """Return the recorded response, or `None` to let the LM answer."""

    def record(self, model: str, request: LMRequest, response: LMResponse) -> None:
        """Keep the response that the LM has just given."""

    def fail(self, model: str, request: LMRequest, error: LMError) -> None:
        """Take the error with which a call has failed."""

    def replay_http(self, request: HTTPRequest) -> HTTPReply | None:
        """Return the recorded reply, or `None` if the request has to be sent."""

    def record_http(self, request: HTTPRequest, reply: HTTPReply) -> None:
        """Record the reply of a server."""

    def begin_again(self) -> None:
        """Count equal requests anew."""

    def for_worker(self) -> WorkerRecorder:
        """Return what stands for this recorder in the workers of an executor."""

    def taken(self) -> Taken | None:
        """Return which replies equal requests have had."""

    def take_miss(self) -> BaseException | None:
        """Return the first request that was not recorded, once."""


class Made(NamedTuple):
    """A call that was made; without a response it has failed, or has not ended yet."""

    model: str
    request: LMRequest
    response: LMResponse | None
    source: Source
    begun: float = 0.0


class MadeByHTTP(NamedTuple):
    """A call that another library has made."""

    request: HTTPRequest
    reply: HTTPReply | None
    source: Source
    begun: float = 0.0
    latency: float | None = None

    def as_made(self) -> Made:
        """Return it in the form of all calls."""
        from pytest_dspex.cassettes.http_calls import as_request, as_response  # only where there is such a call

        request, reply, model = self.request, self.reply, self.request.model
        response = None if reply is None else replace(as_response(reply, model=model), latency=self.latency)
        return Made(model, as_request(request), response, self.source, self.begun)


class Trace(SessionRecorder):
    """The recorder of one test item: notes each call, and passes it on to the item's cassette, if it has one.

    Args:
        recorder: The recorder of the cassette, or that of a live session.
        is_live: Whether it is that of a live session.
        keeps: What recorded responses hold for gates, `"latency"` and `"cost"`: the seconds that they took differ from
            one recording to the next, and a list price changes, so that others do without.
        lanes: The lanes of the session's threads.
    """

    def __init__(
        self,
        recorder: Cassette | None,
        *,
        is_live: bool = False,
        keeps: Collection[str] = (),
        lanes: Lanes | None = None,
    ) -> None:
        self._recorder = recorder
        self._is_live = is_live
        self._keeps = keeps
        self._made: dict[int, Made | MadeByHTTP] = {}  # by their order
        self._order = itertools.count()
        self._lanes = CaseLanes(lanes or Lanes())
        self._lane_of: dict[int, Lane] = {}  # of each place
        self._asked: dict[int, int] = {}  # the place of each call without a response, by the id of its request

    def replay(self, model: str, request: LMRequest) -> LMResponse | None:
        """Return the recorded response, or `None` if the call has to go to the LM."""
        try:
            response = None if self._recorder is None else self._recorder.replay(model, request)
        except LMError:  # a refusal
            self._made[self._place()] = Made(model, request, None, "failed")
            raise
        place = self._place()
        if response is None:
            self._asked[id(request)] = place
            self._made[place] = Made(model, request, None, "failed", time.perf_counter())
        else:
            self._made[place] = Made(model, request, response, "cached" if self._is_live else "replayed")
        return response

    def record(self, model: str, request: LMRequest, response: LMResponse) -> None:
        """Record a response of the LM."""
        place = self._asked.pop(id(request), None)
        place = self._place() if place is None else place
        asked = self._made.get(place)  # `None` if the item has ended before its call
        timed = response
        if asked is not None and not response.cached and response.latency is None:  # else another process took the time
            timed = replace(response, latency=round(time.perf_counter() - asked.begun, 3))
        if self._recorder is not None:
            self._recorder.record(model, request, self._kept(model, timed))
        source: Source = "recorded" if not self._is_live else "cached" if response.cached else "asked"
        self._made[place] = Made(model, request, timed, source)

    def fail(self, model: str, request: LMRequest, error: LMError) -> None:
        """Pass a failure on; the call is already noted as failed."""
        self._asked.pop(id(request), None)
        if self._recorder is not None:
            self._recorder.fail(model, request, error)

    def replay_http(self, request: HTTPRequest) -> HTTPReply | None:
        """Return the recorded reply, or `None` if the request has to be sent."""
        reply = None if self._recorder is None else self._recorder.replay_http(request)
        place = self._place()
        if reply is None:
            self._asked[id(request)] = place
            self._made[place] = MadeByHTTP(request, None, "failed", time.perf_counter())
        else:
            self._made[place] = MadeByHTTP(request, reply, "replayed")
        return reply

    def record_http(self, request: HTTPRequest, reply: HTTPReply) -> None:
        """Record the reply of a server."""
        if self._recorder is not None:
            self._recorder.record_http(request, reply)
        place = self._asked.pop(id(request), None)
        if place is not None and place in self._made:
            begun = self._made[place].begun
            source: Source = "asked" if self._is_live or not reply.is_kept else "recorded"
            self._made[place] = MadeByHTTP(request, reply, source, begun, round(time.perf_counter() - begun, 3))

    def for_worker(self) -> WorkerRecorder:
        """Return what stands for the cassette in the workers of an executor."""
        if self._recorder is None:
            from pytest_dspex.cassettes.in_workers import LiveInWorkers  # only tests with an executor need it

            return LiveInWorkers()
        return self._recorder.for_worker()

    def begin_again(self) -> None:
        """Count equal requests anew."""
        self._lanes.begin_again()
        if self._recorder is not None:
            self._recorder.begin_again()

    def _place(self) -> int:
        """Return the place of a call that begins; threads may share the recorder."""
        place = next(self._order)
        self._lane_of[place] = self._lanes.here()
        return place

    def _kept(self, model: str, response: LMResponse) -> LMResponse:
        if "latency" not in self._keeps and response.latency is not None:
            response = replace(response, latency=None)
        if "cost" in self._keeps and response.cost is None:
            response = replace(response, cost=_price(model, response))
        return response

    def taken(self) -> Taken | None:
        """Return which replies equal requests have had, for another run of the case."""
        return None if self._recorder is None else self._recorder.taken()

    def take_miss(self) -> BaseException | None:
        """Return the first request that was not recorded, once."""
        return None if self._recorder is None else self._recorder.take_miss()

    def take(self) -> tuple[Made, ...]:
        """Return the calls so far, in the order of the program, and forget them."""
        made, self._made = self._made, {}
        lanes, self._lane_of = self._lane_of, {}
        in_order = (made[place] for place in in_program_order({place: lanes.get(place, ()) for place in made}))
        return tuple(each.as_made() if isinstance(each, MadeByHTTP) else each for each in in_order)


def spent_by(made: Sequence[Made], *, has_prices: bool) -> Spent:
    """Return the totals of calls; with `has_prices`, calls of unknown cost have the list price."""
    known = [(call.model, call.response) for call in made if call.response is not None]
    answered = [response for _, response in known]
    latencies = [each.latency for each in answered]
    costs = [_price(model, each) if each.cost is None and has_prices else each.cost for model, each in known]
    return Spent(
        calls=len(made),
        prompt_tokens=sum(each.usage.prompt_tokens for each in answered),
        completion_tokens=sum(each.usage.completion_tokens for each in answered),
        cost=_sum(costs),
        latency=_sum(latencies),
    )


def shown_call(made: Made, *, most: int) -> LMCall:
    """Return a call as a value, with texts of at most so many characters."""
    model, request, response, source, _ = made
    messages = tuple({"role": turn.role, "content": cut(turn.text, most)} for turn in request.messages)
    if response is None:
        return LMCall(model=model, messages=messages, source=source)
    output = response.outputs[0] if response.outputs else None
    asked = [f"{call.name}({call.arguments})" for call in output.tool_calls] if output is not None else []
    return LMCall(
        model=response.lm or model,
        messages=messages,
        reply=cut("\n".join([*([output.text] if output is not None and output.text else []), *asked]), most),
        prompt_tokens=response.usage.prompt_tokens,
        completion_tokens=response.usage.completion_tokens,
        cost=response.cost,
        latency=response.latency,
        source=source,
    )


def cut(text: str, most: int) -> str:
    """Return a text with at most so many characters, and how many more it has."""
    return text if len(text) <= most else f"{text[:most]}... (+{len(text) - most} characters)"


def _price(model: str, response: LMResponse) -> float | None:
    from dspex_core.plugin_api import list_price  # imported only for gates on the cost: it reads a table of prices

    return list_price(response.lm or model, response.usage)


def _sum(values: Sequence[float | None]) -> float | None:
    """Return the sum, or `None` if a value is not known."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
