"""Control characters in replies, rows and errors reach no terminal, and no text fails to be written to one."""

from __future__ import annotations

import io
import logging

import pytest

from dspex_core import Evaluate, Example, Predict, ScriptedLM, context
from dspex_core.errors import DSPexError, LMAuthError
from dspex_core.errors.printable import printable
from dspex_core.interpreter import PythonInterpreter

HOSTILE = "\x1b]0;title\x07\x1b[2J\r\x9b1m\u202eodd\ud800"
UNSAFE = [sign for sign in HOSTILE if not sign.isprintable()]


def reaches(text):
    return [sign for sign in UNSAFE if sign in text]


@pytest.mark.parametrize("error", [DSPexError(f"it said {HOSTILE}"), LMAuthError(HOSTILE, model="m")])
def test_errors(error):
    assert reaches(str(error)) == []
    assert "\\x1b[2J" in str(error)


def test_errors_of_code_that_a_model_wrote():
    with PythonInterpreter() as interpreter, pytest.raises(DSPexError) as caught:
        interpreter.execute("raise ValueError('\\x1b[31mred\\x07')")
    assert "\\x1b[31mred\\x07" in str(caught.value)


def test_errors_of_users_in_logs(caplog):
    def metric(example, prediction, trace=None):
        raise ValueError(prediction.answer)

    devset = [Example(question="q").with_inputs("question")]
    said = f"[[ ## answer ## ]]\n{HOSTILE}\n\n[[ ## completed ## ]]"
    with context(lm=ScriptedLM([said])), caplog.at_level(logging.WARNING, logger="dspex"):
        Evaluate(devset=devset, metric=metric, display_progress=False)(Predict("question -> answer"))
    assert "failed" in caplog.text
    assert reaches("".join(record.getMessage() for record in caplog.records)) == []


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
def test_the_history(encoding):
    lm = ScriptedLM([HOSTILE + "é漢"])
    lm("what?")
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding) as out:
        lm.inspect_history(file=out)
        out.flush()
        written = raw.getvalue().decode(encoding)
    assert "\\x1b[2J" in written
    assert reaches(written) == []


def test_the_history_of_a_process_without_a_console(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    lm = ScriptedLM(["hi"])
    lm("what?")
    lm.inspect_history()


def test_line_feeds_tabs_and_letters_stay():
    assert printable("a\n\tß漢 👍") == "a\n\tß漢 👍"
