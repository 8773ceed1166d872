"""Flows that go on in step: their joint steps are done in one go, and each stays a flow of its own."""

import asyncio
from dataclasses import dataclass
from functools import partial

import pytest

from dspex_core.flow.in_step import JointStep, Outcome, in_step
from dspex_core.flow.pieces import PIECE
from dspex_core.flow.runner import Runner
from dspex_core.flow.steps import Call, adrive, drive

both = pytest.mark.parametrize("driven", [drive, lambda flow: asyncio.run(adrive(flow))], ids=["sync", "async"])


@dataclass(frozen=True)
class Doubled(JointStep):
    """Doubles a number; notes which numbers were doubled in one go."""

    number: float
    notes: list

    def run(self):
        self.notes.append([self.number])
        return 2 * self.number

    async def arun(self):
        return self.run()

    def joined(self, others):
        numbers = [self.number, *(other.number for other in others)]
        self.notes.append(numbers)
        yield Call(str)
        return [Outcome(error=ValueError("two")) if number == 2 else Outcome(2 * number) for number in numbers]


def flow(number, notes, seen):
    try:
        doubled = yield Doubled(number, notes)
        quadrupled = yield Doubled(doubled, notes)
        seen.append((PIECE.get(), quadrupled))
    except ValueError as error:
        seen.append((PIECE.get(), str(error)))


@both
def test_joint_steps_are_done_in_one_go_and_an_error_reaches_its_own_flow_alone(driven):
    notes, seen = [], []
    driven(in_step([(place, flow(number, notes, seen)) for place, number in [(4, 5), (7, 2), (9, 3)]]))
    assert notes == [[5, 2, 3], [10, 6]]
    assert seen == [((7,), "two"), ((4,), 20), ((9,), 12)]


@both
def test_steps_of_other_kinds_are_done_one_by_one(driven):
    notes, seen = [], []

    def other():
        seen.append((yield Call(lambda: "called")))
        with pytest.raises(ZeroDivisionError):
            yield Call(lambda: 1 / 0)

    driven(in_step([(0, flow(1, notes, seen)), (1, other())]))
    assert notes == [[1], [2]]
    assert seen == ["called", ((0,), 4)]


@both
@pytest.mark.parametrize("size", [1, 2, 5, 20])
def test_a_piece_has_its_place_and_its_turn_in_chunks_of_any_size(driven, size):
    notes, seen, finished = [], [], []
    runner = Runner(width=2, max_errors=99, on_finished=finished.append)
    driven(runner.steps([partial(flow, number, notes, seen) for number in (10, 11, 12, 13, 14)], lambda _: size))
    assert sorted(seen) == [((place,), 40 + 4 * place) for place in range(5)]
    assert sorted(each.index for each in finished) == list(range(5))
    assert max(map(len, notes)) == min(size, 5)


@both
def test_an_interrupt_closes_every_flow(driven):
    closed = []

    def interrupted(number):
        try:
            yield Call(partial(stop, number))
        finally:
            closed.append(number)

    def stop(number):
        if number == 1:
            raise SystemExit("stop")

    with pytest.raises(SystemExit):
        driven(in_step([(number, interrupted(number)) for number in range(3)]))
    assert sorted(closed) == [0, 1, 2]
