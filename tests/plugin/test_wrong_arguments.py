"""Wrong arguments of the fixtures: one message in the words of the test, without frames of the plugin."""

import re

import pytest

WRONG = {
    "score('acc', None)": r"score\('acc', None\): the value of a score is a finite number, .* not of type NoneType",
    "score('acc', 'good')": r"score\('acc', 'good'\): the value of a score is .* not of type str",
    "score('acc', float('nan'))": r"score\('acc', nan\): the value of a score is a finite number",
    "score(None, 1)": r"score\(None, 1\): the name of a score is a text that is not empty",
    "score('', 1)": r"score\('', 1\): the name of a score is a text that is not empty",
    "score({'acc': 1}, 1)": r"score\(\{'acc': 1\}, 1\): the name of a score is a text",
    "score('acc')": r"TypeError: score\(\) missing 1 required positional argument: 'value'",
    "check(False)": r"TypeError: check\(\) missing 1 required positional argument: 'message'",
    "check('it holds', False)": r"check\('it holds', False\): the condition comes first",
    "evaluate(None, ROWS, metric=len)": r"evaluate\(None, \.\.\.\): the first argument is the program",
    "evaluate(len, ROWS, metric=len, inputs=5)": r"evaluate\(\.\.\., inputs=5\): the inputs are a list of the names",
    "evaluate(len, ROWS, metric=len, inputs='q')": r"evaluate\(\.\.\., inputs='q'\): the inputs are a list",
    "evaluate(len, 'nope.jsonl', metric=len)": r"nope.jsonl: cannot be read: No such file or directory",
    "evaluate(len, ROWS)": r"TypeError: evaluate\(\) missing 1 required keyword-only argument: 'metric'",
    "scripted_lm(5)": r"the script of a ScriptedLM is a list of replies, .* not 5",
    "scripted_lm('red')": r"the script of a ScriptedLM is a list of replies, .* not 'red'",
    "scripted_lm()": r"TypeError: scripted_lm\(\) missing 1 required positional argument: 'script'",
}


def test_each_wrong_use_is_one_message_and_shows_no_frame_of_the_plugin(project, alone):
    tests = [
        f"def test_{number}(score, check, evaluate, scripted_lm):\n    {use}\n" for number, use in enumerate(WRONG)
    ]
    project.test("ROWS = [{'q': 1}]\n\n" + "\n".join(tests))

    result = alone("--tb=short")

    result.assert_outcomes(failed=len(WRONG))
    sections = re.split(r"^_+ test_\d+ _+$", result.stdout.str(), flags=re.MULTILINE)[1:]
    for expected, section in zip(WRONG.values(), sections, strict=True):
        assert re.search(expected, section), section
        assert not re.search(r"(pytest_dspex|dspex_core|contextlib)(/\w+)*\.py:\d+", section), section


@pytest.mark.parametrize("call", ["score('acc', None)", "score(1, 1)"])
def test_nothing_is_recorded_by_a_wrong_score(project, alone, call):
    project.test(f"def test_it(score):\n    try:\n        {call}\n    except ValueError:\n        pass\n")

    result = alone()

    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*acc*")
