"""The runner below Evaluate, Parallel and batch: what has finished is kept, and a failure counts at once."""

import asyncio
import itertools
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from dspex_core.errors import BudgetExceededError
from dspex_core.flow.runner import Finished, Runner
from dspex_core.flow.steps import Call, adrive, drive

both = pytest.mark.parametrize("how", ["sync", "async"])
widths = pytest.mark.parametrize("width", [1, 3])


def run(how, runner, pieces):
    return drive(runner.steps(pieces)) if how == "sync" else asyncio.run(adrive(runner.steps(pieces)))


def piece(value):
    if isinstance(value, BaseException):
        yield Call(str)
        raise value
    return (yield Call(lambda: value))


def pieces(*values):
    return [partial(piece, value) for value in values]


class Kept(Runner):
    """A runner with a list of what it has handed on."""

    def __init__(self, **options):
        self.seen = []
        super().__init__(**{"width": 1, "max_errors": 99, "on_finished": self.seen.append, **options})

    def finished(self):
        return sorted(self.seen, key=lambda finished: finished.index)


runner = Kept


@both
@widths
def test_each_piece_finishes_once_with_its_value_or_its_error(how, width):
    error = ZeroDivisionError("no")
    under_test = runner(width=width)
    run(how, under_test, pieces("a", error, "c"))
    assert under_test.finished() == [Finished(0, "a"), Finished(1, error=error), Finished(2, "c")]


@both
def test_no_piece_begins_after_one_failure_too_many(how):
    under_test = runner(max_errors=1)
    run(how, under_test, pieces(*[ValueError(str(n)) for n in range(9)]))
    assert (len(under_test.finished()), under_test.failed, under_test.gave_up) == (2, 2, True)


@both
def test_a_value_may_stand_for_a_failure(how):
    under_test = runner(max_errors=0, error_of=lambda value: ValueError(value) if value == "bad" else None)
    run(how, under_test, pieces("good", "bad", "never begun"))
    assert [(finished.value, finished.error is None) for finished in under_test.finished()] == [
        ("good", True),
        ("bad", False),
    ]


@both
def test_a_spent_budget_ends_it(how):
    spent = BudgetExceededError(kind="calls", limit=1, spent=1)
    under_test = runner()
    run(how, under_test, pieces("a", spent, "c"))
    assert len(under_test.finished()) == 2
    assert under_test.over_budget is spent


@both
@widths
def test_an_interrupt_loses_nothing_that_has_finished(how, width):
    under_test = runner(width=width)
    with pytest.raises(KeyboardInterrupt):
        run(how, under_test, pieces(*range(6), KeyboardInterrupt(), *range(99)))
    kept = {finished.value for finished in under_test.finished()} & set(range(6))
    assert len(kept) >= 6 - (width - 1)  # the others may be under way


@both
def test_an_error_of_the_reader_is_raised_to_the_one_who_waits(how):
    def full(_):
        raise OSError("disk full")

    under_test = runner(width=2, on_finished=full)
    with pytest.raises(OSError, match="disk full"):
        run(how, under_test, pieces("a", "b", "c"))


@both
def test_a_piece_may_wait_for_an_executor_of_another_kind(how):
    with ThreadPoolExecutor(2) as pool:

        def elsewhere(n):
            return (yield Call(pool.submit(pow, n, 2).result))

        under_test = runner(width=2)
        run(how, under_test, [partial(elsewhere, n) for n in range(5)])
    assert [finished.value for finished in under_test.finished()] == [0, 1, 4, 9, 16]


@both
def test_nothing_to_do_is_not_an_error(how):
    under_test = runner()
    run(how, under_test, [])
    assert under_test.finished() == []


@both
@widths
def test_an_iterator_of_pieces_is_read_as_there_is_room(how, width):
    finished = []
    under_way = []

    def endless():
        for read in itertools.count(1):
            under_way.append(read - len(finished))  # whichever piece ends first, whatever the others do meanwhile
            yield partial(piece, read)

    def keep(one):
        finished.append(one)
        if len(finished) == 6:
            under_test.stop()

    under_test = runner(width=width, on_finished=keep)
    run(how, under_test, endless())
    assert len(finished) == len(under_way) >= 6
    assert max(under_way) <= width
