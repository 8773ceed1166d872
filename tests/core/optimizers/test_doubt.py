"""A winner that is not clearly better than the program as it was before: a sentence in the log and the leaderboard."""

import pickle

import instructed
import pytest
from instructed import METRIC, Instructions, rows

from dspex_core import (
    COPRO,
    BootstrapFewShotWithRandomSearch,
    Predict,
    ScriptedLM,
    context,
)
from dspex_core.dspy_paths.teleprompt import BetterTogether
from dspex_core.optimizers import Trial, Trials
from dspex_core.programs.demos.selector import NearestDemos

ROWS = rows(40)


def compiled(*texts, student="right from 0 to 31 ", valset=ROWS, **options):
    return instructed.compiled(*texts, student=student, valset=valset, **options)


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if "clearly better" in record.getMessage()]


def test_a_gain_of_one_standard_error_that_may_be_chance_is_returned_with_a_warning(caplog):
    program = compiled("right from 0 to 31 ", "right from 1 to 35 ")

    assert program.signature.instructions == "right from 1 to 35 "
    [warning] = warnings(caplog)
    assert warning == f"Instructions: {program.trials.doubt}"
    assert "0.850 and 0.775 on the same 40 rows may differ by chance (paired p = 0.38)" in warning
    assert program.trials.to_table().endswith(program.trials.doubt)
    assert not program.trials.kept


def test_six_rows_gained_and_none_lost_are_enough_and_five_are_not(caplog):
    assert not compiled("right from 0 to 31 ", "right from 0 to 37 ").trials.doubt
    assert not warnings(caplog)
    assert "p = 0.06" in compiled("right from 0 to 31 ", "right from 0 to 36 ").trials.doubt


@pytest.mark.parametrize(
    "texts",
    [
        ("right from 0 to 31 ",),
        ("right from 0 to 31 ", "right from 0 to 9 "),
        ("right from 0 to 9 ", "right from 0 to 10 "),
    ],
    ids=["it is the only one", "it is the best", "it was not tried"],
)
def test_there_is_no_doubt_where_the_program_as_it_was_is_the_best_or_was_not_tried(texts, caplog):
    assert not compiled(*texts).trials.doubt
    assert not warnings(caplog)


def test_it_is_found_wherever_it_stands_and_only_where_it_ran_on_all_rows():
    program = compiled("right from 1 to 35 ", "right from 0 to 31 ")

    assert program.trials.unchanged.number == 2
    assert program.trials.doubt
    assert Trials([Trial(1, "a part", {0: 1.0}, 2), Trial(2, "all", {0: 1.0, 1: 1.0}, 2)]).doubt == ""


def test_fractional_scores_are_compared_too():
    before, best = (Trial(number, "", {0: 0.2, 1: score, 2: 0.5}, 3) for number, score in ((1, 0.3), (2, 0.4)))

    assert "0.367 and 0.333 on the same 3 rows" in Trials([before, best], unchanged=before).doubt


def test_the_leaderboard_keeps_it_in_another_process():
    trials = compiled("right from 0 to 31 ", "right from 1 to 35 ").trials

    assert pickle.loads(pickle.dumps(trials)).doubt == trials.doubt != ""


def test_the_steps_of_a_compile_do_not_warn_for_themselves(caplog):
    step = Instructions("right from 0 to 31 ", "right from 1 to 35 ")

    compiled(optimizer=BetterTogether(METRIC, p=step, w=step))

    assert [warning.partition(":")[0] for warning in warnings(caplog)] == ["BetterTogether"]


@pytest.mark.parametrize(
    "optimizer",
    [BootstrapFewShotWithRandomSearch(METRIC, num_candidate_programs=1), COPRO(metric=METRIC, breadth=2, depth=1)],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_programs_whose_demos_a_function_chooses_are_compared_too(optimizer):
    student = Predict("text -> label")
    student.demos, student.demo_selector = ROWS[:2], NearestDemos(1, lambda texts: [[1.0, len(text)] for text in texts])

    with context(lm=ScriptedLM(lambda _: {"label": "a", "proposed_instruction": "Label it."})):
        assert optimizer.compile(student, trainset=ROWS[:4], valset=ROWS[4:8]).trials.best.score == 1
