"""What a baseline takes for the measure: the code that makes a score, and not the program or how it is written."""

import importlib.util
import itertools
import sys
import textwrap

import pytest

from pytest_dspex.running.measures import measure_texts

NUMBERS = itertools.count()

TEST = """
    import re
    import functools
    import {grading} as grading
    from {grading} import LIMIT, same as equal

    WORD = re.compile("[a-z]+")
    SHIFT = 0

    def words(text):
        return WORD.findall(text.lower())

    def overlap(one, other):
        return len(set(words(one)) & set(words(other))) > LIMIT

    class Within:
        def __init__(self, most):
            self.most = most

        def __call__(self, example, prediction, trace=None):
            return self.distance(example, prediction) <= self.most

        @staticmethod
        def distance(example, prediction):
            return abs(example.answer - prediction.answer) + SHIFT

    def at_least(most):
        def metric(example, prediction, trace=None):
            return overlap(example.answer, prediction.answer) >= most
        return metric

    short = lambda example, prediction: overlap(example.answer, prediction.answer)

    def pipeline(question):
        return answer_of(question)

    def answer_of(question):
        return "A otter"

    def unused(x):
        return x

    def test_direct(example, prediction, score):
        score("overlap", overlap(prediction.answer, example.answer))

    def test_by_name(example, score):
        answer = pipeline(example.question)
        value = overlap(answer, example.answer)
        score("overlap", float(value))

    def test_of_a_module(example, prediction, score):
        score("same", grading.same(prediction.answer, example.answer))

    def test_imported(example, prediction, score):
        score("same", bool(equal(prediction.answer, example.answer)))

    def test_alone(example, score):
        score("overlap", grade(example))

    def grade(example):
        return overlap(pipeline(example.question), example.answer)

    def test_fixture(example, prediction, score, judge):
        score("judged", judge(prediction.answer))

    def test_metric(example):
        pass
"""

GRADING = """
    LIMIT = 0

    def clean(text):
        return text.strip()

    def same(one, other):
        return clean(one) == clean(other)
"""


def data_text(value):
    return str(vars(value) if hasattr(value, "__dict__") else value)


@pytest.fixture
def measure(tmp_path):
    """Return the texts of the measure of a test in modules that are edited before they are imported."""

    def module(source, name):
        path = tmp_path / f"{name}.py"
        path.write_text(textwrap.dedent(source))
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = found = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
        made.append(name)
        return found

    def texts(test, *edits, metric=None, fixture=None, grading=()):
        number = next(NUMBERS)
        source, other = TEST, GRADING
        for old, new in edits:
            assert old in source
            source = source.replace(old, new)
        for old, new in grading:
            assert old in other
            other = other.replace(old, new)
        module(other, f"grading_{number}")
        found = module(source.replace("{grading}", f"grading_{number}"), f"test_measured_{number}")
        metrics = [eval(metric, vars(found))] if metric else []
        fixtures = {"judge": eval(fixture, vars(found))} if fixture else {}
        made_texts = measure_texts(vars(found)[test], metrics, fixtures=fixtures, data_text=data_text)
        return sorted(text.replace(f"_{number}", "") for text in made_texts)

    made = []
    yield texts
    for name in made:
        del sys.modules[name]


HELPER = ("return WORD.findall(text.lower())", "return WORD.findall(text)")
PATTERN = ('re.compile("[a-z]+")', 're.compile("[a-z0-9]+")')
FUNCTION = ("(words(other))) > LIMIT", "(words(other))) >= LIMIT")


@pytest.mark.parametrize("edit", [HELPER, PATTERN, FUNCTION])
@pytest.mark.parametrize("test", ["test_direct", "test_by_name", "test_alone"])
def test_an_edit_of_a_function_that_makes_the_score_or_of_what_it_uses_changes_the_measure(measure, test, edit):
    assert measure(test) != measure(test, edit)


@pytest.mark.parametrize("test", ["test_of_a_module", "test_imported"])
@pytest.mark.parametrize("edit", [("clean(one) ==", "one =="), ("text.strip()", "text.lower()")])
def test_so_does_an_edit_in_another_module_of_the_project(measure, test, edit):
    assert measure(test) != measure(test, grading=[edit])


def test_so_does_the_assignment_of_an_imported_constant(measure):
    assert measure("test_direct") != measure("test_direct", grading=[("LIMIT = 0", "LIMIT = 1")])


@pytest.mark.parametrize(
    ("metric", "edits"),
    [
        (
            "at_least(1)",
            [("overlap(example.answer, prediction.answer) >=", "overlap(example.answer, prediction.answer) >")],
        ),
        ("at_least(1)", [HELPER]),
        ("functools.partial(overlap, 'x')", [FUNCTION]),
        ("Within(1)", [("<= self.most", "< self.most")]),
        ("Within(1)", [("abs(example", "(example")]),
        ("Within(1)", [("SHIFT = 0", "SHIFT = 1")]),
        ("Within(1).__call__", [("<= self.most", "< self.most")]),
        ("short", [FUNCTION]),
        ("short", [("prediction: overlap", "prediction: 1 - overlap")]),
    ],
)
def test_an_edit_of_a_metric_of_the_dataset_changes_the_measure(measure, metric, edits):
    assert measure("test_metric", metric=metric) == measure("test_metric", metric=metric)
    assert measure("test_metric", metric=metric) != measure("test_metric", *edits, metric=metric)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("at_least(1)", "at_least(2)"),
        ("Within(1)", "Within(2)"),
        ("functools.partial(overlap, 'x')", "functools.partial(overlap, 'y')"),
    ],
)
def test_another_option_of_a_metric_changes_the_measure(measure, one, other):
    assert measure("test_metric", metric=one) != measure("test_metric", metric=other)


def test_a_fixture_that_makes_the_score_is_measured_too(measure):
    edit = ("return x", "return not x")

    assert measure("test_fixture", fixture="unused") != measure("test_fixture", edit, fixture="unused")


@pytest.mark.parametrize(
    "edit",
    [
        ('return "A otter"', 'return "An otter"'),  # the program
        ("return x", "return not x"),  # what no score uses
        ("    def overlap(one, other):\n", "    # a note\n\n    def overlap(one,\n                other):\n"),
    ],
)
@pytest.mark.parametrize("test", ["test_direct", "test_by_name"])
def test_an_edit_of_the_program_of_other_code_or_of_the_layout_does_not(measure, test, edit):
    assert measure(test) == measure(test, edit)


def test_functions_that_call_each_other_end(measure):
    edit = ("return WORD.findall(text.lower())", "return overlap(text, text) or WORD.findall(text.lower())")

    assert measure("test_direct", edit)
