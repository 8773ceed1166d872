"""What users make of DSPy's few-shot optimizers, ensembles and evaluations, run with either library."""

import io
import sys

import pytest
from both import chat, in_real, refused, scripted, uses

use, USES = uses()


def rows(dspy, count=4):
    return [dspy.Example(q=str(number), a="x").with_inputs("q") for number in range(count)]


def right(row, found, trace=None):
    return row.a == found.a


def answering(dspy, replies):
    return dspy.context(lm=scripted(dspy, replies), adapter=dspy.ChatAdapter())


@use
def a_vote(dspy):
    with answering(dspy, [chat(a=text) for text in ("x", "y", "y", "last")]):
        program = dspy.Ensemble(reduce_fn=dspy.majority).compile([dspy.Predict("q -> a") for _ in range(3)])
        return program(q="?").a, [name for name, _ in program.named_predictors()], isinstance(program, dspy.Module)


@use
def some_of_an_ensemble(dspy):
    with answering(dspy, [chat(a=text) for text in "xyz"]):
        program = dspy.teleprompt.Ensemble(size=2).compile([dspy.Predict("q -> a") for _ in range(3)])
        return [found.a for found in program(q="?")]


@use
def an_ensemble_of_compiled_programs(dspy):
    found = [dspy.LabeledFewShot(k=k).compile(dspy.ChainOfThought("q -> a"), trainset=rows(dspy)) for k in (1, 2)]
    program = dspy.Ensemble(reduce_fn=lambda outputs: outputs[-1]).compile(found)
    return [len(predictor.demos) for predictor in program.predictors()]


@use
def an_error_of_the_program(dspy):
    class Failing(dspy.Module):
        def __init__(self):
            super().__init__()
            self.ask = dspy.Predict("q -> a")

        def forward(self, q):
            raise LookupError(q)

    optimizer = dspy.BootstrapFewShot(metric=right, max_errors=1)
    return refused(lambda: optimizer.compile(Failing(), trainset=rows(dspy)), LookupError)


@use
def an_error_of_the_metric(dspy):
    def broken(row, found, trace=None):
        raise ZeroDivisionError

    with answering(dspy, [chat(a="x")] * 8):
        optimizer = dspy.BootstrapFewShot(metric=broken, max_errors=2)
        return refused(lambda: optimizer.compile(dspy.Predict("q -> a"), trainset=rows(dspy)), ZeroDivisionError)


@use
def options_of_one_evaluation(dspy):
    with answering(dspy, [chat(a="x")] * 8):
        evaluate = dspy.Evaluate(devset=rows(dspy), metric=right, num_threads=4)
        found = evaluate(
            dspy.Predict("q -> a"),
            devset=rows(dspy, 2),
            num_threads=1,
            display_progress=False,
            display_table=False,
            callback_metadata={"key": "value"},
        )
        return found.score, len(found.results), evaluate.num_threads


@use
def files_of_one_evaluation(dspy, tmp_path):
    with answering(dspy, [chat(a="x")] * 8):
        evaluate = dspy.Evaluate(devset=rows(dspy, 2), metric=right, num_threads=1)
        evaluate(dspy.Predict("q -> a"), save_as_csv=str(tmp_path / "a.csv"), save_as_json=str(tmp_path / "a.json"))
        return sorted(path.name for path in tmp_path.iterdir()), evaluate.save_as_csv


@use
def what_callbacks_hear_of_it(dspy):
    heard = []

    class Listening(dspy.utils.BaseCallback if hasattr(dspy, "utils") else dspy.BaseCallback):
        def on_evaluate_start(self, call_id, instance, inputs):
            heard.append((instance is evaluate, inputs["callback_metadata"], len(inputs["devset"] or evaluate.devset)))

    evaluate = dspy.Evaluate(devset=rows(dspy, 2), metric=right, num_threads=1)
    with answering(dspy, [chat(a="x")] * 8), dspy.context(callbacks=[Listening()]):
        evaluate(dspy.Predict("q -> a"), callback_metadata={"run": 1})
    return heard


@pytest.mark.parametrize("use", USES)
def test_the_same(ours, real, use, tmp_path):
    given = (tmp_path,) if "tmp_path" in use.__code__.co_varnames[: use.__code__.co_argcount] else ()
    mine = use(ours, *given)
    for path in tmp_path.iterdir():
        path.unlink()

    assert mine == in_real(use, real, *given)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("wanted", "shown"), [(True, 3), (2, 2), (False, 0)])
def test_a_table_on_a_terminal(ours, monkeypatch, wanted, shown):
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    devset = [ours.Example(q=f"Is this\nquestion {number}?", a="x").with_inputs("q") for number in range(3)]

    with answering(ours, [chat(a="x")] * 8):
        ours.Evaluate(devset=devset, metric=right, display_table=wanted)(ours.Predict("q -> a"))

    assert out.getvalue().count("Is this quest") == shown
    assert ("and 1 more" in out.getvalue()) == (wanted == 2)


def test_no_table_where_nobody_looks(ours, capsys):
    with answering(ours, [chat(a="x")] * 8):
        ours.Evaluate(devset=rows(ours), metric=right, display_table=True)(ours.Predict("q -> a"))

    assert capsys.readouterr().out == ""


def test_an_option_that_a_call_does_not_take(ours):
    with pytest.raises(ours.ConfigurationError, match=r"does not take threads; it takes num_threads"):
        ours.Evaluate(devset=rows(ours), metric=right)(ours.Predict("q -> a"), threads=3)


def test_equal_inputs_are_answered_by_the_same_programs_if_asked_for(ours):
    programs = [lambda q, name=name: f"{name} {q}" for name in "abcde"]
    program = ours.Ensemble(size=2, deterministic=True).compile(programs)

    assert program(q="?") == program(q="?")
    assert len({tuple(text[0] for text in program(q=str(number))) for number in range(20)}) > 1


@pytest.mark.parametrize(("size", "count"), [(0, 3), (4, 3), (None, 0)])
def test_an_ensemble_that_cannot_be(ours, size, count):
    with pytest.raises(ours.ConfigurationError):
        ours.Ensemble(size=size).compile([len] * count)
