"""Wrong arguments that users give most: each is one clear message of ours."""

from concurrent.futures import ThreadPoolExecutor

import pytest

import dspex_core as dspy
from dspex_core import plugin_api

ROWS = [dspy.Example(q="x").with_inputs("q")]


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: dspy.LM(3), "must be named as 'provider/model', not by 3"),
        (
            lambda: dspy.Evaluate(devset=None, metric=len)(len),
            "the devset must be examples or dicts .* not None",
        ),
        (lambda: dspy.Evaluate(devset=5, metric=len)(len), "the devset must be examples or dicts .* not 5"),
        (lambda: dspy.Evaluate(devset=ROWS, metric="exact")(len), "the metric of an evaluation must be a function"),
        (lambda: dspy.Evaluate(devset=ROWS, metric=len)(5), "the program of an evaluation must be a function"),
        (lambda: dspy.Evaluate(devset=ROWS, metric=len, num_threads="4")(len), "num_threads is a whole number"),
        (lambda: dspy.Evaluate(devset=ROWS, metric=len, num_threads=-1)(len), "num_threads is a whole number"),
        (lambda: dspy.Evaluate(devset=ROWS, metric=len, max_errors="3")(len), "max_errors is a number"),
        (lambda: dspy.Evaluate(devset=ROWS, metric=len, num_threads=True)(len), "num_threads is a whole number"),
        (lambda: dspy.Evaluate(devset=ROWS, metric=len, timeout=True), "timeout is a number of seconds"),
        (lambda: dspy.Evaluate(devset=ROWS, metric=len, failure_score="0"), "failure_score is the score of a failed"),
        (lambda: dspy.Evaluate(devset=ROWS, metric=len, failure_score=float("nan")), "failure_score .* not nan"),
        (lambda: dspy.Evaluate(devset=ROWS, metric=len, journal=3), "journal is the path of a file, not 3"),
        (lambda: dspy.Evaluate(devset=ROWS, metric=len)(len, save_as_json=3), "save_as_json is the path of a file"),
        (lambda: dspy.Evaluate(devset=ROWS, metric=len)(len, display_table=-1), "display_table is True, False or"),
        (
            lambda: dspy.Evaluate(devset=ROWS, metric=len, executor=ThreadPoolExecutor)(len),
            "must have a method",
        ),
        (lambda: dspy.decided(min="x"), "needs a bound"),
        (lambda: dspy.LabeledFewShot().compile(dspy.Predict("q -> a"), trainset=5), "the trainset must be a list"),
        (lambda: dspy.configure(lm="openai/x"), r'must be an object, not .openai/x.: write lm=LM\("provider/model"\)'),
        (lambda: dspy.context(adapter="chat").__enter__(), "write adapter=ChatAdapter"),
        (lambda: dspy.context(adapter=dspy.ChatAdapter).__enter__(), "write adapter=ChatAdapter"),
        (lambda: dspy.context(lm=3).__enter__(), r"must be an object, not 3: write lm=LM"),
        (lambda: dspy.configure(lm=[dspy.ScriptedLM([])]), r"must be an object, not \["),
        (lambda: dspy.configure(lm=dspy.LM), r"must be an object, not <class"),
        (lambda: dspy.configure(judge_lm=object()), r"must be an object, not <object"),
    ],
)
def test_it_is_one_error_that_says_how_to_write_it(use, message):
    with pytest.raises((dspy.ConfigurationError, dspy.OptimizationError), match=message):
        use()


def test_every_name_that_the_plugin_takes_is_there():
    for name in plugin_api.__all__:
        assert getattr(plugin_api, name) is not None
