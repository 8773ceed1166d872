"""Which program a compile returns: the one as it was, unless another is ahead of it by more than chance."""

import math
import pickle

import instructed
import pytest
from hypothesis import given
from hypothesis import strategies as st
from instructed import METRIC, Instructions, rows, written

from dspex_core import (
    Budget,
    OptimizationError,
)
from dspex_core.dspy_paths.teleprompt import BetterTogether
from dspex_core.optimizers import Trial, Trials
from dspex_core.optimizers.search.racing import estimated
from dspex_core.stats.paired import standard_errors

ROWS = rows(20)
STUDENT, CHANCE, AHEAD = "right from 0 to 10 ", "right from 4 to 15 ", "right from 2 to 20 "


def compiled(*texts, student=STUDENT, valset=ROWS, **options):
    return instructed.compiled(*texts, student=student, valset=valset, **options)


def trial(number, scores):
    return Trial(number, f"trial {number}", dict(enumerate(scores)), len(scores))


def chosen(*rows, margin=1.0):
    trials = [trial(number, scores) for number, scores in enumerate(rows, start=1)]
    return Trials(trials, unchanged=trials[0], margin=margin).best.number


def test_a_lead_of_less_than_a_standard_error_keeps_the_program_and_says_so(caplog):
    program = compiled(STUDENT, CHANCE)

    assert program.signature.instructions == STUDENT
    assert program.trials.best is program.trials.unchanged
    assert program.trials.leader.name == CHANCE
    kept = program.trials.kept
    assert kept == (
        f"the program as it was before is kept: the highest score ({CHANCE}, 0.550) is ahead of its own (0.500, the "
        "same 20 rows) by 0.3 standard errors of the paired differences, which may be chance; 1 would be enough "
        "(margin=0 takes the highest score)"
    )
    assert program.trials.to_table().endswith(kept)
    assert [record.getMessage() for record in caplog.records if "is kept" in record.getMessage()] == [
        f"Instructions: {kept}"
    ]
    assert not program.trials.doubt


def test_with_a_margin_of_zero_the_highest_score_is_returned_as_in_dspy():
    program = compiled(STUDENT, CHANCE, margin=0)

    assert program.signature.instructions == CHANCE
    assert not program.trials.kept


def test_a_clear_gain_is_returned_and_a_larger_margin_refuses_it():
    assert compiled(STUDENT, CHANCE, AHEAD).signature.instructions == AHEAD
    assert compiled(STUDENT, CHANCE, AHEAD, margin=3).signature.instructions == STUDENT


def test_one_gain_without_a_loss_is_enough_on_a_tiny_valset():
    assert chosen([0, 0], [1, 0]) == 2
    assert chosen([0.3, 0.2], [0.4, 0.2]) == 2
    assert chosen([1], [1]) == 1


def test_of_those_that_are_ahead_the_highest_score_is_taken_also_where_a_higher_one_is_not_clearly_ahead():
    before = [1] * 5 + [0] * 5
    unsure = [0] * 4 + [1] * 5 + [1]  # five gained, four lost: 0.3 standard errors
    ahead = [1] * 6 + [0] * 4

    assert chosen(before, unsure, ahead) == 3
    assert chosen(before, ahead, [1] * 7 + [0] * 3, ahead) == 3
    assert chosen(before, [0] * 10, before) == 1


def test_where_the_program_as_it_was_did_not_run_the_highest_score_is_taken():
    assert compiled(CHANCE, "right from 0 to 9 ").signature.instructions == CHANCE
    assert Trials([trial(1, [0, 1]), trial(2, [1, 1])]).best.number == 2


def test_a_budget_that_ends_the_compile_returns_by_the_same_rule():
    program = compiled(STUDENT, CHANCE, AHEAD, budget=Budget(calls=50))

    assert program.trials.stopped
    assert program.signature.instructions == STUDENT


def test_a_race_still_compares_with_the_highest_score():
    class Race(Instructions):
        def _compile(self, run):
            super()._compile(run)
            part = run.candidate("a part", lambda: written("right from 4 to 9 "))
            part.score(range(10))
            self.found = estimated(run, run.close(part))
            return run.best

    race = Race(STUDENT, CHANCE)
    compiled(optimizer=race)

    assert race.found == pytest.approx(0.55 - 0.1)  # one of ten rows behind the one that leads


def test_the_choice_survives_in_another_process():
    trials = compiled(STUDENT, CHANCE).trials
    read = pickle.loads(pickle.dumps(trials))

    assert (read.best.number, read.kept) == (1, trials.kept)


@pytest.mark.parametrize("margin", [-1, math.nan, math.inf, True, "1", None], ids=repr)
def test_a_margin_that_is_not_a_number_of_standard_errors_is_an_error_before_any_call(margin):
    with pytest.raises(OptimizationError, match="the margin must be a number of standard errors from 0 on"):
        compiled(STUDENT, margin=margin)


def test_the_steps_of_better_together_choose_by_the_same_margin():
    steps = BetterTogether(METRIC, p=Instructions(STUDENT, CHANCE))

    assert compiled(optimizer=steps, strategy="p").signature.instructions == STUDENT
    assert compiled(optimizer=steps, strategy="p", margin=0).signature.instructions == CHANCE


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=30))
def test_the_standard_errors_of_wins_and_losses_are_those_of_mcnemar(differences):
    gained, lost = differences.count(1), differences.count(-1)

    expected = (gained - lost) / math.sqrt(gained + lost) if gained + lost else 0
    assert standard_errors(differences) == pytest.approx(expected)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=8), st.sampled_from([1e-200, 0.1, 3.0, 1e200]))
def test_the_unit_of_a_metric_does_not_decide(differences, unit):
    scaled = [difference * unit for difference in differences]
    if not any(each == 0 != difference for each, difference in zip(scaled, differences, strict=True)):
        assert standard_errors(scaled) == pytest.approx(standard_errors(differences), abs=1e-6)
