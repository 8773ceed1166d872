"""Wrong arguments that users give most: each is one clear message of ours."""

import pytest

import dspex_core as dspy
from dspex_core import plugin_api


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: dspy.LM(3), "must be named as 'provider/model', not by 3"),
        (
            lambda: dspy.Evaluate(devset=None, metric=len)(len),
            "the devset must be examples or dicts .* not None",
        ),
        (lambda: dspy.Evaluate(devset=5, metric=len)(len), "the devset must be examples or dicts .* not 5"),
        (lambda: dspy.LabeledFewShot().compile(dspy.Predict("q -> a"), trainset=5), "the trainset must be a list"),
        (lambda: dspy.configure(lm="openai/x"), r'must be an object, not .openai/x.: write lm=LM\("provider/model"\)'),
        (lambda: dspy.context(adapter="chat").__enter__(), "write adapter=ChatAdapter"),
    ],
)
def test_it_is_one_error_that_says_how_to_write_it(use, message):
    with pytest.raises((dspy.ConfigurationError, dspy.OptimizationError), match=message):
        use()


def test_every_name_that_the_plugin_takes_is_there():
    for name in plugin_api.__all__:
        assert getattr(plugin_api, name) is not None
