"""Failures that many cases share are one block of the output."""

import re

import pytest

NUMBERS = [f"n{number}" for number in range(30)]


@pytest.fixture
def recorded(project, alone):
    """Thirty recorded cases, whose prompt then changes."""
    project.rows(*NUMBERS)
    project.test()
    alone("--dspex-record=new").assert_outcomes(passed=30)
    return project


def change_the_prompt(project):
    source = (project.path / "conftest.py").read_text()
    changed = source.replace(
        'Predict("question -> answer")', 'Predict("question -> answer", instructions="Now say it.")'
    )
    assert changed != source
    (project.path / "conftest.py").write_text(changed)


def test_misses_of_one_changed_prompt_are_one_block_that_says_what_changed(recorded, run):
    change_the_prompt(recorded)
    result = run()
    result.assert_outcomes(errors=30)
    result.stdout.fnmatch_lines(
        [
            "30 requests of test_it.py::test_qa are not recorded; all differ by:",
            "*+*Now say it.*",
            "The cases: *27 more",
        ]
    )
    output = result.stdout.str()
    assert output.count("Now say it.") == 1
    assert len(re.findall("^ERROR ", output, re.MULTILINE)) == 1
    assert len(output.splitlines()) < 60


def test_a_missing_cassette_is_said_once(recorded, alone):
    recorded.cassette().unlink()
    result = alone()
    result.assert_outcomes(errors=30)
    assert result.stdout.str().count("is missing") == 1
    result.stdout.fnmatch_lines(["30 requests of test_it.py::test_qa are not recorded; No call is recorded yet*"])


def test_a_few_misses_are_shown_each(recorded, alone):
    change_the_prompt(recorded)
    result = alone("-k", "n10 or n11")
    result.assert_outcomes(errors=2)
    assert result.stdout.str().count("that is not in its cassette") == 2


def test_misses_that_all_differ_are_shown_by_a_few_of_them(recorded, alone):
    recorded.rows(*(f"other{number}" for number in range(30)))
    result = alone()
    result.assert_outcomes(errors=30)
    output = result.stdout.str()
    assert output.count("that is not in its cassette") == 3
    result.stdout.fnmatch_lines(["27 requests of test_it.py::test_qa are not recorded; Each differs *"])


def test_an_error_of_the_library_in_each_case_is_one_block(project, run):
    project.rows(*NUMBERS)
    project.test(
        """
        import pytest
        from dspex_core import ConfigurationError

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_qa(example):
            raise ConfigurationError("the key is wrong")

        def test_other(example="x"):
            assert example == "y"
        """
    )
    result = run()
    result.assert_outcomes(failed=31)
    output = result.stdout.str()
    assert output.count("the key is wrong") <= 2  # the text, and the line of the summary
    result.stdout.fnmatch_lines(["30 cases of test_it.py::test_qa ended with one error:", "*ConfigurationError*"])
    assert "assert 'x' == 'y'" in output


def test_the_results_of_other_readers_have_every_failure(recorded, alone):
    change_the_prompt(recorded)
    alone("--junitxml=junit.xml")
    assert (recorded.path / "junit.xml").read_text().count("<error") == 30
