"""Adapters, orders and numbers as dimensions of searches, and races in MIPROv2."""

import json
import random
from typing import Literal

import pytest

from dspex_core import (
    BootstrapFewShotWithRandomSearch,
    ChatAdapter,
    ConfigurationError,
    Example,
    InputField,
    JSONAdapter,
    MIPROv2,
    OutputField,
    Predict,
    Signature,
    XMLAdapter,
    context,
    exact_match,
)
from dspex_core.lm.scripted import ScriptedLM
from dspex_core.optimizers.search.dimensions import PromptDimensions, spread
from dspex_core.programs.demos.selector import NearestDemos

LABELS = ["red", "green", "blue", "black"]
ROWS = [
    Example(text=f"text {number}", label=LABELS[number * number % 4]).with_inputs("text") for number in range(40)
]  # two of the labels are rare: numbers have no squares of the form 4n + 2 or 4n + 3
ROWS[6], ROWS[7] = (Example(text=f"text {n}", label=LABELS[n % 4]).with_inputs("text") for n in (6, 7))
TRAIN, VAL = ROWS[:16], ROWS[16:36]
CORRECT = exact_match("label")
SIGNATURE = Signature(
    {"text": InputField(), "label": (Literal["red", "green", "blue", "black"], OutputField())}, "Name the colour."
)
ALL = PromptDimensions()


def picky(wanted):
    """Return a landscape in which the row's own label is right if the prompt is `wanted`, for most rows."""

    def answer(request):
        number = number_in(request.messages[-1])
        right = LABELS[number * number % 4]
        return {"label": right if number % 5 == 0 or wanted(request) else "black"}

    return answer


def shows_xml(request):
    return "<label>" in request.messages[0].text


def shows_blue_first(request):
    return 'one of "black", "blue"' in request.messages[0].text


def shows_each_label(request):
    shown = "".join(message.text for message in request.messages[1:-1])
    return all(label in shown for label in LABELS)


def shows_one_demo(request):
    return sum(message.role == "assistant" for message in request.messages) == 1


def shows_the_nearest_row(request):
    """Whether the last demo is of the training row whose number begins as the asked one's does."""
    asked, shown = (number_in(request.messages[place]) for place in (-1, -3)) if len(request.messages) > 3 else (0, 1)
    return str(shown)[0] == str(asked)[0]


def number_in(message):
    return int(message.text.split("text ")[-1].split()[0].strip('"<]'))


def student():
    return Predict(SIGNATURE)


def random_search(**options):
    given = {"max_bootstrapped_demos": 0, "max_labeled_demos": 3, "num_candidate_programs": 12, **options}
    return BootstrapFewShotWithRandomSearch(CORRECT, **given)


def mipro(**options):
    given = {"auto": None, "num_candidates": 3, "max_bootstrapped_demos": 0, "max_labeled_demos": 3, "proposers": []}
    return MIPROv2(CORRECT, **{**given, **options})


def compiled(optimizer, wanted, *, program=None, journal=None, num_threads=4, **options):
    lm = ScriptedLM(picky(wanted))
    if isinstance(optimizer, MIPROv2):
        options = {"num_trials": 18, "minibatch": False, **options}
    with context(lm=lm, num_threads=num_threads):
        found = optimizer.compile(program or student(), trainset=TRAIN, valset=VAL, journal=journal, **options)
    return found, lm


SEARCHES = {"random search": random_search, "MIPROv2": mipro}


@pytest.mark.parametrize("make", SEARCHES.values(), ids=SEARCHES)
class TestASearch:
    @pytest.mark.parametrize("wanted", [shows_xml, shows_each_label, shows_one_demo], ids=lambda each: each.__name__)
    def test_finds_what_the_model_depends_on(self, make, wanted):
        options = PromptDimensions(adapters=[XMLAdapter(), JSONAdapter()], demo_counts=(0, 1), balanced_sets=1)
        program, _ = compiled(make(dimensions=options), wanted)
        assert program.trials.best.score > program.trials[0].score + 0.3

    def test_keeps_what_it_found_in_the_artifact(self, make, tmp_path):
        program, _ = compiled(make(dimensions=PromptDimensions(adapters=[XMLAdapter()])), shows_xml)
        program.save(tmp_path / "program.json")
        loaded = student()
        loaded.load(tmp_path / "program.json")
        assert loaded.adapter == program.adapter == XMLAdapter()
        assert loaded.dump_state() == program.dump_state()

    def test_is_the_same_at_any_concurrency(self, make):
        one, many = (compiled(make(dimensions=ALL), shows_xml, num_threads=number)[0] for number in (1, 8))
        assert one.dump_state() == many.dump_state()
        assert [trial.choices for trial in one.trials] == [trial.choices for trial in many.trials]

    def test_goes_on_from_a_cut_journal(self, make, tmp_path):
        path = tmp_path / "journal"
        optimizer = make(dimensions=ALL)
        whole, first = compiled(optimizer, shows_xml, journal=path)
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[: len(lines) // 2]))
        again, second = compiled(optimizer, shows_xml, journal=path)
        assert again.dump_state() == whole.dump_state()
        assert 0 < sum(not entry.response.cached for entry in second.history) < len(first.history)

    def test_finds_that_the_demos_of_each_call_are_best_chosen_by_its_inputs(self, make, tmp_path):
        options = PromptDimensions(adapters=[], choice_orders=1, demo_orders=1, demo_counts=(0, 1), nearest=(3,))
        program, _ = compiled(make(dimensions=options), shows_the_nearest_row)
        assert program.trials.best.score > program.trials[0].score + 0.3
        assert "choice of demos: nearest 3" in program.trials.best.name
        program.save(tmp_path / "program.json")
        loaded = student()
        loaded.load(tmp_path / "program.json")
        assert loaded.demo_selector.k == 3
        assert len(loaded.demos) == len(TRAIN)

    def test_leaves_the_student_as_it_is_without_dimensions(self, make):
        program, _ = compiled(make(), shows_xml)
        assert program.adapter is None
        assert not program.signature.fields["label"].choices

    def test_says_what_was_chosen(self, make):
        program, _ = compiled(make(dimensions=PromptDimensions(adapters=[XMLAdapter()])), shows_xml)
        assert "adapter: XMLAdapter" in program.trials.best.name
        assert program.trials.best.choices["self: adapter"] == 1

    def test_keeps_a_choice_of_demos_by_inputs(self, make):
        program = student()
        program.demos, program.demo_selector = TRAIN, NearestDemos(2)
        found, _ = compiled(make(dimensions=PromptDimensions(adapters=[XMLAdapter()])), shows_xml, program=program)
        assert program.demo_selector is not None
        assert {name for trial in found.trials for name in trial.choices}.isdisjoint(
            {"self: choice of demos", "self: order of demos"}
        )


def test_the_order_of_choices_is_searched():
    optimizer = mipro(dimensions=PromptDimensions(adapters=[], demo_orders=1, demo_counts=(), balanced_sets=0))
    program, lm = compiled(optimizer, shows_blue_first)
    assert program.signature.fields["label"].choices[:2] == ("black", "blue")
    with context(lm=lm):
        assert program(text="text 3").label == "green"


def test_a_dimension_without_a_choice_is_left_out():
    class OfTheRun:
        student = Predict("text -> label")
        trainset = TRAIN

        def random(self, purpose):
            return random.Random(purpose)

    found = PromptDimensions(adapters=[ChatAdapter()], demo_counts=[], demo_orders=2, nearest=[]).of(OfTheRun())
    assert [each.name for each in found["self"]] == ["order of demos"]


def test_half_is_left_as_it_is_and_the_other_choices_are_about_as_frequent():
    class OfTheRun:
        student = student()
        trainset = TRAIN

        def random(self, purpose):
            return random.Random(purpose)

    dimensions = ALL.of(OfTheRun())
    combinations = spread(dimensions, 10, random.Random(0))
    for each in dimensions["self"]:
        chosen = [combination[f"self: {each.name}"] for combination in combinations]
        counts = [chosen.count(number) for number in range(1, len(each.choices))]
        assert chosen.count(0) == len(combinations) / 2
        assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize(
    "options",
    [
        {"adapters": ["json"]},
        {"adapters": XMLAdapter()},
        {"demo_counts": 2},
        {"demo_counts": ["2"]},
        {"demo_counts": [-1]},
        {"choice_orders": 0},
        {"demo_orders": "3"},
        {"balanced_sets": True},
        {"nearest": [0]},
    ],
    ids=repr,
)
def test_dimensions_of_another_kind_are_refused(options):
    [name] = options
    with pytest.raises(ConfigurationError, match=name):
        PromptDimensions(**options)


class TestARaceInMIPROv2:
    def test_saves_calls_and_finds_as_good_a_program(self):
        dimensions = PromptDimensions(adapters=[XMLAdapter(), JSONAdapter()])
        full, slow = compiled(mipro(dimensions=dimensions), shows_xml)
        raced, fast = compiled(mipro(dimensions=dimensions, racing=True), shows_xml)
        assert raced.trials.best.score == full.trials.best.score
        assert len(fast.history) < len(slow.history)

    def test_lists_what_it_dropped_with_the_rows_that_it_ran_on(self, tmp_path):
        dimensions = PromptDimensions(adapters=[XMLAdapter()])
        program, _ = compiled(mipro(dimensions=dimensions, racing=True), shows_xml, journal=tmp_path / "journal")
        dropped = [trial for trial in program.trials if not trial.is_full]
        assert dropped
        assert all(0 < trial.n < len(VAL) for trial in dropped)
        assert f"{dropped[0].n}/{len(VAL)}" in str(program.trials)
        written = [json.loads(line) for line in (tmp_path / "journal").read_text(encoding="utf-8").splitlines()]
        rows = [len(line["trial"]["scores"]) for line in written if isinstance(line.get("trial"), dict)]
        rows += [len(line["scores"]) for line in written if "scores" in line]
        assert rows == [trial.n for trial in program.trials]

    def test_drops_one_that_was_promising_on_a_minibatch(self):
        options = {"minibatch": True, "minibatch_size": 6, "minibatch_full_eval_steps": 2}
        dimensions = PromptDimensions(adapters=[XMLAdapter()])
        program, _ = compiled(mipro(dimensions=dimensions, racing=True), shows_xml, **options)
        assert program.trials.best.is_full
        assert program.dump_state() == program.trials.best.program.dump_state()

    def test_is_off_by_default(self):
        program, _ = compiled(mipro(), shows_each_label)
        assert all(trial.is_full for trial in program.trials)
