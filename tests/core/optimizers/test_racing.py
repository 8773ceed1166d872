"""Candidates that race: fewer runs, the same winner."""

import random
import re
from functools import partial

import pytest

from dspex_core import Budget, Predict, context
from dspex_core.example import Example
from dspex_core.lm.scripted import ScriptedLM
from dspex_core.metrics.fields import exact_match
from dspex_core.optimizers import BootstrapFewShotWithRandomSearch
from dspex_core.optimizers.demos import seeded
from dspex_core.optimizers.run import Limits, Run
from dspex_core.optimizers.search.loop import Proposal
from dspex_core.optimizers.search.racing import challenge, contest, most_runs, race


class Scripted:
    """A contender whose scores are known."""

    def __init__(self, place, scores):
        self.place, self.known, self.scores, self.closed = place, scores, {}, 0

    def score(self, rows=None):
        for row in range(len(self.known)) if rows is None else rows:
            self.scores[row] = self.known[row]

    @property
    def is_full(self):
        return len(self.scores) == len(self.known)


def raced(table, *, seed=0, stop_at=None):
    """Let a contender for each row of the table race; return them."""
    contenders = [Scripted(place, scores) for place, scores in enumerate(table)]
    order = seeded(seed).sample(range(len(table[0])), len(table[0]))

    def close(contender):
        contender.closed += 1

    contest(iter(contenders), order, close=close, stop_at=stop_at)
    return contenders


def landscape(seed, *, count=17, rows=60):
    """Return scores of candidates that differ, on rows that are hard or easy for all of them."""
    rng = random.Random(seed)
    hard = [rng.gauss(0, 1.5) for _ in range(rows)]
    skills = [rng.gauss(0, 0.6) for _ in range(count)]
    return [[float(skill - each + rng.gauss(0, 1) > 0) for each in hard] for skill in skills]


class TestARace:
    def test_finds_nearly_the_best_score_with_about_half_of_the_runs(self):
        lost, share = [], []
        for seed in range(40):
            table = landscape(seed)
            contenders = raced(table, seed=seed)
            best = max(sum(each.known) for each in contenders if each.is_full)
            lost.append((max(map(sum, table)) - best) / len(table[0]))
            share.append(sum(len(each.scores) for each in contenders) / sum(map(len, table)))

        assert sum(lost) / len(lost) < 0.01
        assert sum(share) / len(share) < 0.52

    def test_closes_each_candidate_once(self):
        assert {each.closed for each in raced(landscape(1))} == {1}

    def test_keeps_to_the_most_runs_that_were_said(self):
        for seed, (count, rows) in enumerate([(17, 60), (2, 20), (5, 9), (1, 30), (30, 4)]):
            flat = [[1.0] * rows] * count  # nobody is clearly worse

            for table in (landscape(seed, count=count, rows=rows), flat):
                runs = sum(len(each.scores) for each in raced(table))
                assert runs <= most_runs(count, rows) <= count * rows

    def test_of_few_rows_scores_all_in_full(self):
        assert all(each.is_full for each in raced(landscape(2, rows=5)))

    def test_ends_at_a_score_that_is_content(self):
        contenders = raced([[0.0] * 20, [1.0] * 20, [0.5] * 20], stop_at=1.0)

        assert [each.is_full for each in contenders] == [True, True, False]

    def test_of_equals_lets_the_earlier_go_on(self):
        contenders = raced([[0.5] * 40] * 10)

        assert [each.place for each in contenders if each.is_full] == [0, 1]

    def test_compares_scores_of_any_size(self):
        table = [[100 * score - 50 for score in scores] for scores in landscape(5)]

        assert max(sum(each.known) for each in raced(table) if each.is_full) == max(map(sum, table))


ROWS = [Example(text=f"text {number}", label="yes").with_inputs("text") for number in range(40)]


def number_of(request):
    """Return the number of the row that a request asks about."""
    return int(re.findall(r"text (\d+)", request.messages[-1].text)[-1])


def answer(request):
    """Right in as many of ten rows as the instructions say."""
    number = number_of(request)
    skill = int(re.findall(r"skill (\d)", request.messages[0].text)[0])
    return {"label": "yes" if number % 10 < skill else "no"}


def program(skill):
    made = Predict("text -> label")
    made.signature = made.signature.with_instructions(f"skill {skill}")
    return made


def a_run():
    return Run(
        optimizer="Search", metric=exact_match("label"), student=program(0), trainset=ROWS[:1], valset=ROWS,
        teacher=None, seed=0, limits=Limits(num_threads=1),
    )  # fmt: skip


class TestARaceOfPrograms:
    def test_returns_the_best_and_lists_the_dropped_ones(self):
        run = a_run()
        with context(lm=ScriptedLM(answer)):
            best = race(run, [Proposal(f"skill {each}", partial(program, each)) for each in (3, 1, 2, 8, 0, 4)])

        assert "skill 8" in best.signature.instructions
        assert len(run.trials) == 6
        assert run.trials.best.is_full
        assert any(not trial.is_full for trial in run.trials)
        assert run.trials.selected.of == 6
        assert "the best of 6" in run.trials.to_table()

    def test_makes_no_candidate_before_the_first_is_scored(self):
        run, seen = a_run(), []

        def make(skill):
            seen.append(len(run.trials))
            return program(skill)

        with context(lm=ScriptedLM(answer)):
            race(run, [Proposal("a", partial(make, each)) for each in (1, 2)])

        assert seen == [0, 1]

    def test_lets_a_challenger_go_on_only_while_it_may_win(self):
        run = a_run()
        with context(lm=ScriptedLM(answer)):
            trials = [challenge(run, run.candidate("a", partial(program, each))) for each in (5, 1, 9)]

        assert [trial.is_full for trial in trials] == [True, False, True]
        assert run.trials.best is trials[2]


class TestRandomSearch:
    TRAIN = tuple(Example(text=f"train {number}", label="yes").with_inputs("text") for number in range(20))

    def search(self, model, **options):
        given = {"num_candidate_programs": 16, "max_bootstrapped_demos": 3, "max_labeled_demos": 4, **options}
        budget = given.pop("budget", None)
        with context(lm=model):
            return BootstrapFewShotWithRandomSearch(exact_match("label"), **given).compile(
                Predict("text -> label"), trainset=self.TRAIN, valset=ROWS, budget=budget
            )

    @staticmethod
    def reply(request):
        """Right for more rows when certain demos are shown; the teacher is right for half of the rows."""
        asked = request.messages[-1].text
        if "train " in asked:
            return {"label": "yes" if "2" not in asked else "no"}
        number = number_of(request)
        shown = " ".join(message.text for message in request.messages[:-1])
        return {"label": "yes" if number % 10 < 2 + 4 * ("train 7" in shown) + 3 * ("train 15" in shown) else "no"}

    def test_with_a_race_finds_what_it_finds_without_for_about_half_of_the_calls(self):
        calls, scores = {}, {}
        for racing in (True, False):
            found = self.search(ScriptedLM(self.reply), racing=racing).trials
            calls[racing], scores[racing] = found.spent.calls, found.best.score

        assert scores[True] == scores[False]
        assert calls[True] < 0.55 * calls[False]  # many are equal here, which no race can tell apart

    def test_asks_the_teacher_once_for_each_training_example(self):
        model = ScriptedLM(self.reply)
        self.search(model)

        taught = [entry.request.messages[-1].text for entry in model.history]
        taught = [text for text in taught if "train" in text]
        assert len(taught) == len(set(taught)) <= len(self.TRAIN)

    def test_that_its_budget_ends_returns_the_best_so_far(self):
        found = self.search(ScriptedLM(self.reply), budget=Budget(calls=60))

        assert found.trials.best.is_full
        assert "60 of 60 calls" in found.trials.stopped

    @pytest.mark.parametrize("threads", [1, 8])
    def test_is_the_same_at_any_concurrency(self, threads):
        first = self.search(ScriptedLM(self.reply), num_threads=2)
        other = self.search(ScriptedLM(self.reply), num_threads=threads)

        assert first.dump_state() == other.dump_state()
        assert [(t.name, t.scores) for t in first.trials] == [(t.name, t.scores) for t in other.trials]
