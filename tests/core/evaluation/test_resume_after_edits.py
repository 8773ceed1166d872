"""Which edits of a project make another evaluation of it, whose journal is not continued, and which do not."""

import importlib.util
import itertools
import sys
import textwrap

import pytest

from dspex_core import ConfigurationError, Evaluate, Example, ScriptedLM, context

NUMBERS = itertools.count()

SHORTENING = '''
    def shorten(text):
        """Take the first letters."""
        return text[:MOST]

    MOST = 40
'''

PROJECT = '''
    from dataclasses import dataclass
    from functools import partial

    import {shortening} as shortening
    from dspex_core import Module, Predict, Prediction
    from {shortening} import shorten

    @dataclass(frozen=True)
    class Within:
        """Compares lengths."""

        most: int = 3
        weights: tuple = (1, 2)

        def __call__(self, example, prediction, trace=None):
            return self.length(prediction) > self.most

        def length(self, prediction):
            return len(shorten(prediction.answer))

    class Counting:
        def __init__(self, least=1):
            self.least = least
            self.calls = 0

        def __call__(self, example, prediction, trace=None):
            self.calls += 1
            return len(prediction.answer) > self.least

    def longer_than(most):
        seen = 0

        def metric(example, prediction, trace=None):
            nonlocal seen
            seen += 1
            return len(prediction.answer) > most

        return metric

    def scaled(factor, example, prediction, trace=None):
        return factor * len(prediction.answer) > 2

    def tidy(text):
        # what people type
        return text.strip()

    class Program(Module):
        """Answers."""

        tries = 2

        def __init__(self, k=3):
            self.answer = Predict("n -> answer", temperature=0.5)
            self.k = k
            self.asked = 0
            self.last = ""
            self.seen = []

        def forward(self, n):
            """Ask."""
            self.asked += 1
            self.seen.append(n)
            self.last = str(n)
            return self.found(self.answer(n=tidy(str(n))))

        def found(self, made):
            return Prediction(answer=shortening.shorten(made.answer) * self.k)

        def shown(self):
            return "not part of a run"

    PROGRAM = Program(k=3)
    METRIC = [Within(most=3), Counting(least=1), longer_than(3), partial(scaled, 5)]
'''


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Return a function that imports the project after an edit, as a new process would."""
    shortening = f"shortening_{next(NUMBERS)}"
    sources = {shortening: SHORTENING, f"project_{next(NUMBERS)}": PROJECT.replace("{shortening}", shortening)}
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def loaded(old="", new=""):
        assert not old or any(old in source for source in sources.values())
        for name, source in sources.items():
            path = tmp_path / f"{name}.py"
            path.write_text(textwrap.dedent(source.replace(old, new) if old else source))
            spec = importlib.util.spec_from_file_location(name, path)
            module = importlib.util.module_from_spec(spec)
            monkeypatch.setitem(sys.modules, name, module)
            spec.loader.exec_module(module)
        return module

    return loaded


def evaluated(project, number, path):
    devset = [Example(n=n).with_inputs("n") for n in range(3)]
    with context(lm=ScriptedLM(lambda _: {"answer": "an answer"})):
        return Evaluate(devset=devset, metric=project.METRIC[number], journal=path, num_threads=1)(project.PROGRAM)


WITHIN, COUNTING, CLOSURE, PARTIAL = range(4)

OTHER = {
    "an option of a program": ("Program(k=3)", "Program(k=5)", WITHIN, "program"),
    "a sampling parameter": ("temperature=0.5", "temperature=0.7", WITHIN, "program"),
    "a number of a class": ("tries = 2", "tries = 3", WITHIN, "program"),
    "forward": ("tidy(str(n))", "tidy(str(-n))", WITHIN, "program"),
    "a method that forward calls": ("made.answer) * self.k", "made.answer) * self.k + '!'", WITHIN, "program"),
    "a function that forward calls": ("text.strip()", "text.lstrip()", WITHIN, "program"),
    "a function of another module": ("text[:MOST]", "text[1:MOST]", CLOSURE, "program"),
    "a constant of another module": ("MOST = 40", "MOST = 50", CLOSURE, "program"),
    "an option of a frozen metric": ("Within(most=3)", "Within(most=4)", WITHIN, "metric"),
    "a default of a frozen metric": ("= (1, 2)", "= (1, 3)", WITHIN, "metric"),
    "a method of a metric": (
        "len(shorten(prediction.answer))",
        "len(shorten(prediction.answer)) + 1",
        WITHIN,
        "metric",
    ),
    "a function that a metric calls": ("text[:MOST]", "text[1:MOST]", WITHIN, "metric"),
    "an option of a metric that counts": ("Counting(least=1)", "Counting(least=2)", COUNTING, "metric"),
    "a number that a metric closes over": ("longer_than(3)", "longer_than(4)", CLOSURE, "metric"),
    "a bound argument of a metric": ("partial(scaled, 5)", "partial(scaled, 6)", PARTIAL, "metric"),
    "a function with bound arguments": ("factor * len", "factor + len", PARTIAL, "metric"),
}

SAME = {
    "nothing": ("", ""),
    "a comment": ("# what people type", "# what they really type"),
    "layout": (
        "return len(shorten(prediction.answer))",
        "return (\n                len(shorten(prediction.answer))\n            )",
    ),
    "quotes": ('self.last = ""', "self.last = ''"),
    "a docstring of a function": ("Take the first letters.", "Take some letters."),
    "a docstring of a method": ('"""Ask."""', '"""Ask the model."""'),
    "a docstring of a class": ('"""Compares lengths."""', '"""Compares lengths of texts."""'),
    "a method that no run calls": ('"not part of a run"', '"something else"'),
}


@pytest.mark.parametrize(("old", "new", "number", "part"), OTHER.values(), ids=OTHER.keys())
def test_a_change_of_what_runs_is_another_evaluation(load, tmp_path, old, new, number, part):
    path = tmp_path / "run.jsonl"
    evaluated(load(), number, path)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=f"another {part}"):
        evaluated(load(old, new), number, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("number", range(4), ids=["frozen", "counting", "closure", "partial"])
@pytest.mark.parametrize(("old", "new"), SAME.values(), ids=SAME.keys())
def test_any_other_edit_is_the_same_evaluation(load, tmp_path, old, new, number):
    path = tmp_path / "run.jsonl"
    evaluated(load(), number, path)
    project = load(old, new)
    evaluated(project, number, path)
    assert project.PROGRAM.asked == 0


def test_what_a_run_counts_is_no_change_to_the_same_objects(load, tmp_path):
    project = load()
    for number in range(4):
        for _ in range(2):
            evaluated(project, number, tmp_path / f"{number}.jsonl")
    assert project.PROGRAM.asked == 12
    assert project.METRIC[COUNTING].calls == 3
