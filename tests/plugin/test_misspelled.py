"""Markers and ini keys that would have no effect are usage errors: pytest only warns of them."""

import pytest


@pytest.mark.parametrize(
    ("mark", "advice"),
    [
        ("dspex_gates('right', min=1)", "did you mean 'dspex_gate'?"),
        ("dspex_dta('data.jsonl')", "did you mean 'dspex_data'?"),
        ("dspex_repeats(3)", "did you mean 'dspex_repeat'?"),
        ("dspex_something_else", "there are: dspex_data, dspex_gate, dspex_repeat"),
    ],
)
def test_a_marker_that_looks_like_one_of_the_plugins_is_a_usage_error(pytester, mark, advice):
    name = mark.partition("(")[0]
    pytester.makepyfile(f"import pytest\n\n@pytest.mark.{mark}\ndef test_it():\n    pass\n")

    result = pytester.runpytest_inprocess("-W", "default")  # in this session, pytest's own warning is an error

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    line = f"ERROR: *::test_it: pytest.mark.{name} is not a marker of pytest-dspex; {advice}"
    result.stderr.fnmatch_lines([line])


def test_a_marker_of_the_plugin_on_a_single_case_is_a_usage_error(pytester):
    pytester.makepyfile("""
        import pytest

        @pytest.mark.parametrize("value", [1, pytest.param(0, marks=pytest.mark.dspex_gate("right", min=1))])
        def test_it(value, score):
            score("right", value)
    """)

    result = pytester.runpytest_inprocess()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*::test_it: dspex_gate stands in `pytest.param(..., marks=...)`*mark the function*"])


def test_a_marker_that_the_user_has_registered_is_taken(pytester):
    pytester.makeini("[pytest]\nmarkers =\n    dspex_slow(why): takes long")
    pytester.makepyfile("import pytest\n\n@pytest.mark.dspex_slow('x')\ndef test_it(score):\n    score('right', 1)\n")

    pytester.runpytest_inprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize("start", [("",), ("-o", "dspex_gate=right >= 1")], ids=["file", "flag"])
def test_an_ini_key_that_looks_like_one_of_the_plugins_is_a_usage_error(pytester, start):
    if start == ("",):
        pytester.makeini("[pytest]\ndspex_gate =\n    right >= 1")
    pytester.makepyfile("def test_it(score):\n    score('right', 0)\n")

    result = pytester.runpytest_inprocess(*filter(None, start))

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: 'dspex_gate' in the configuration is not an ini key of pytest-dspex; *"])
