"""Files that are not what they should be: each is one clear error, none is changed, and none is read for ever."""

from __future__ import annotations

import os

import pytest

from dspex_core import BootstrapFewShot, Evaluate, Example, Predict, ScriptedLM, context, load, load_dataset
from dspex_core.errors import DSPexError
from dspex_core.evaluation.result import EvaluationResult

ROWS = [Example(question="q", answer="a").with_inputs("question")]
DEEP = "[" * 100_000 + "]" * 100_000


def evaluate(path):
    lm = ScriptedLM(["[[ ## answer ## ]]\na\n\n[[ ## completed ## ]]"] * 9)
    with context(lm=lm):
        Evaluate(devset=ROWS, metric=lambda *_: 1.0, display_progress=False, journal=path)(
            Predict("question -> answer")
        )


def compiled(path):
    lm = ScriptedLM(["[[ ## answer ## ]]\na\n\n[[ ## completed ## ]]"] * 9)
    with context(lm=lm):
        optimizer = BootstrapFewShot(metric=lambda *_: 1.0)
        optimizer.compile(Predict("question -> answer"), trainset=ROWS, journal=path)


READERS = {
    "a program": load,
    "a state": lambda path: Predict("question -> answer").load(path),
    "an evaluation": EvaluationResult.load,
    "a journal": evaluate,
    "a compile's journal": compiled,
}


@pytest.fixture(params=READERS.values(), ids=READERS)
def read(request):
    return request.param


@pytest.mark.parametrize(
    "content", ["5", "{}", "[1]", '{"a": 1}\n', "not JSON", "NaN", DEEP, "9" * 5000, "\ufeff{}", '{"dspex": "other'],
    ids=["number", "object", "list", "line", "text", "NaN", "deep", "large number", "mark", "cut"],
)  # fmt: skip
def test_other_content_is_an_error_and_stays(read, content, tmp_path):
    path = tmp_path / "file.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DSPexError):
        read(path)
    assert path.read_text(encoding="utf-8") == content


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_and_devices_are_not_waited_for(read, tmp_path):
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    endless = tmp_path / "zero.json"
    endless.symlink_to("/dev/zero")
    for path in (pipe, endless):
        with pytest.raises(DSPexError, match=r"a pipe or a device, not a file"):
            read(path)


@pytest.mark.parametrize("name", ["a" * 5000 + ".json", "a\0b.json"])
@pytest.mark.parametrize("reader", [*READERS.values(), load_dataset], ids=[*READERS, "a dataset"])
def test_names_that_no_file_can_have_are_an_error(reader, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DSPexError):
        reader(name)


@pytest.mark.parametrize("begin", [evaluate, compiled])
def test_a_journal_whose_first_line_was_cut_short_begins_anew(begin, tmp_path):
    path = tmp_path / "journal.jsonl"
    begin(path)
    whole = path.read_bytes()
    for cut in (1, 20, whole.index(b"\n")):
        path.write_bytes(whole[:cut])
        begin(path)
        assert path.read_bytes().startswith(whole[: whole.index(b"\n")])
