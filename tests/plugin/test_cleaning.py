"""What reports never hold: credentials, and control characters that a row or a model chose."""

import json
import re

import pytest

from pytest_dspex.reports.cleaning import without
from pytest_dspex.reports.shown import shown, shown_on_a_line

KEY = "sk-SECRETKEYabcdefghijklmnop1234567890"
ODD_KEY = "0123-odd-key-without-any-form"
EVIL = "\x1b]0;PWNED\x07\x1b[2J\x9b31m\x7f\r\u202e\u2066"
RAW = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u202e\u2066]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("é 漢 👍\n\ttab", "é 漢 👍\n\ttab"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("\x9b\x7f\r", "\\x9b\\x7f\\r"),
        ("\u202eab\u2066", "\\u202eab\\u2066"),
        ("\ud800", "\\ud800"),
    ],
)
def test_control_characters_are_escaped_and_other_text_stays(text, expected):
    assert shown(text) == expected


def test_colors_are_kept_where_pytest_writes_them():
    assert shown("\x1b[31mred\x1b[0m\x1b[2J", keep_color=True) == "\x1b[31mred\x1b[0m\\x1b[2J"


def test_a_line_has_no_line_ends():
    assert shown_on_a_line("a\r\n b\x07\n") == "a b\\x07"


def test_no_control_character_of_a_row_or_a_reply_reaches_the_output(project, run):
    rows = [{"id": f"r{EVIL}", "question": f"Say red{EVIL}", "answer": EVIL}]
    (project.path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    project.test(
        """
        import pytest
        from dspex_core import exact_match

        pytestmark = pytest.mark.dspex_data("data.jsonl", inputs=["question"])

        @pytest.mark.dspex_gate("accuracy", min=0.9)
        def test_gate(example, score, check):
            score("accuracy", 0, feedback=example.question)
            check(False, example.question)

        def test_check_then_error(example, check):
            check(False, example.question)
            raise ValueError(example.question)

        def test_miss(example, prediction): pass

        def test_message(example): assert False, example.question

        def test_evaluate(example, qa, evaluate, scripted_lm):
            scripted_lm([{"answer": example.answer}])
            assert evaluate(qa, [example], metric=lambda e, p, t=None: 0.0) >= 1

        def test_name(example, score): score(f"s{example.question}", 0)
        """
    )
    result = run("--junitxml=junit.xml", "-rA")
    output = result.stdout.str()
    assert output.count("PWNED") > 10
    assert RAW.findall(output) == []


SHOWS = f"""
    import pytest

    KEYS = {{"openai": {KEY!r}, "odd": {ODD_KEY!r}}}

    def call(key, headers):
        raise ConnectionError(f"refused {{headers}}")

    @pytest.mark.parametrize("name", ["openai", "odd"])
    def test_frames(name, lm):
        key = KEYS[name]
        print("sends", key)
        call(key, {{"Authorization": f"Bearer {{key}}"}})

    def test_property(record_property):
        record_property("key", KEYS["openai"])
        record_property("odd", KEYS["odd"])
"""


@pytest.mark.parametrize("options", [["--tb=long", "--showlocals"], ["--full-trace"], ["--tb=short", "-rA"]])
def test_no_credential_is_in_the_output_or_in_junit(project, alone, monkeypatch, options):
    monkeypatch.setenv("SOMEBODYS_API_KEY", ODD_KEY)
    project.test(SHOWS.replace(f"{ODD_KEY!r}", "__import__('os').environ['SOMEBODYS_API_KEY']"))
    result = alone("--junitxml=junit.xml", "-o", "junit_family=xunit1", *options)
    output = result.stdout.str() + (project.path / "junit.xml").read_text()
    assert "[secret]" in output
    assert ODD_KEY not in output
    shown_by_source = [line for line in output.splitlines() if KEY in line]
    assert shown_by_source == []


def test_a_credential_that_is_too_long_for_a_path_is_hidden(project, alone, monkeypatch):
    key = "long" * 2000
    monkeypatch.setenv("SOMEBODYS_PRIVATE_KEY", key)
    project.test("import os\n\ndef test_it():\n    assert not os.environ['SOMEBODYS_PRIVATE_KEY']")
    result = alone("-vv")
    result.assert_outcomes(failed=1)
    assert key not in result.stdout.str()


def test_the_key_of_the_lm_in_use_is_hidden(project, alone):
    project.conftest(
        more=f"""
        from dspex_core import LM

        @pytest.fixture(scope="session")
        def lm():
            return LM("openai/x", api_key="{ODD_KEY}", api_base="http://127.0.0.1:1/v1", num_retries=0)
    """
    )
    project.test("def test_it(lm):\n    key = lm.api_key + ''\n    assert key == 'x'")
    result = alone("--showlocals")
    assert ODD_KEY not in result.stdout.str()
    result.stdout.fnmatch_lines(["*[[]secret[]]*"])


def test_a_session_without_a_terminal_cleans_too(project, pytester):
    project.test("def test_it(record_property):\n    record_property('a', 'b')\n    assert not 'x\\x07'")
    assert pytester.runpytest_inprocess("-p", "no:terminal", "-o", "junit_family=xunit1").ret == 1


@pytest.mark.parametrize("before", ["", "x", "word " * 9, "word " * 14, "word " * 15, "word " * 16])
@pytest.mark.parametrize("color", ["no", "yes"])
def test_a_credential_that_a_comparison_splits_over_lines_is_hidden(pytester, monkeypatch, before, color):
    monkeypatch.setenv("SSH_PASSPHRASE", "correcthorse batterystaple 9 turnips underneath")
    pytester.makepyfile(
        f"""
        import os

        def test_it():
            said = {before!r} + os.environ["SSH_PASSPHRASE"] + " and then some more words " * 3
            assert [said, 1] == ["other " + said, 2]
        """
    )
    result = pytester.runpytest_inprocess("-vv", f"--color={color}", "--junitxml=junit.xml")
    result.assert_outcomes(failed=1)
    for text in (result.stdout.str(), (pytester.path / "junit.xml").read_text()):
        assert "Full diff" in text
        for word in ("correcthorse", "batterystaple", "underneath"):
            assert word not in text


def test_words_of_a_credential_stay_where_no_line_is_split():
    text = "the correct answer\nis a 'correct word' and\nbattery 9"
    assert without(text, secrets=["correct horse battery 9"]) == text
