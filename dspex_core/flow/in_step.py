"""Flows that go on in step, so that what all of them wait for can travel in one message. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import contextvars
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from dspex_core.flow.pieces import PIECE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dspex_core.flow.steps import Flow, Step


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step among joined ones has come to: its result or its error."""

    value: Any = None
    error: Exception | None = None


class JointStep(ABC):
    """A step that costs less when it is done with others of its kind."""

    @abstractmethod
    def run(self) -> Any:
        """Do it alone and return its result."""

    @abstractmethod
    async def arun(self) -> Any:
        """Do it alone without blocking the event loop and return its result."""

    @abstractmethod
    def joined(self, others: Sequence[Self]) -> Flow[Sequence[Outcome]]:
        """Do it with others; return the outcome of each, its own first."""


def in_step(flows: Iterable[tuple[int, Flow[None]]]) -> Flow[None]:
    """Run flows to their ends, and do their steps with each other where all are waiting for one kind.

    Args:
        flows: Each with its place among the flows of the `Together` around it. Each runs in a context of its own.
    """
    lanes: list[_Lane] = []
    try:
        lanes.extend(_Lane(number, flow) for number, flow in flows)
        while waiting := [(lane, lane.step) for lane in lanes if lane.step is not None]:
            yield from _one_step(waiting)
    finally:
        for lane in lanes:
            lane.flow.close()


def _one_step(waiting: Sequence[tuple[_Lane, Step]]) -> Flow[None]:
    joint = [step for _, step in waiting if isinstance(step, JointStep)]
    if 1 < len(joint) == len(waiting):
        outcomes = yield from joint[0].joined(joint[1:])
        for (lane, _), outcome in zip(waiting, outcomes, strict=True):
            lane.go_on(outcome)
        return
    for lane, step in waiting:
        try:
            outcome = Outcome((yield step))
        except Exception as error:  # noqa: BLE001  the flow decides, and re-raises what it does not handle
            outcome = Outcome(error=error)
        lane.go_on(outcome)


class _Lane:
    """One of the flows, and the step that it waits for; `None` once it has ended."""

    def __init__(self, number: int, flow: Flow[None]) -> None:
        self.flow = flow
        self.step: Step | None = None
        self._context = contextvars.copy_context()
        self._context.run(PIECE.set, (*PIECE.get()[:-1], number))
        self.go_on(Outcome())

    def go_on(self, outcome: Outcome) -> None:
        try:
            if outcome.error is not None:
                self.step = self._context.run(self.flow.throw, outcome.error)
            else:
                self.step = self._context.run(self.flow.send, outcome.value)
        except StopIteration:
            self.step = None
