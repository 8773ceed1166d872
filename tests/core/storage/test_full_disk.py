"""Writers on a full disk: nothing is lost that was there, nothing is half there, and the error names the file."""

import errno
import sys

import pytest

from dspex_core import (
    BootstrapFewShot,
    ConfigurationError,
    Evaluate,
    Example,
    OptimizationError,
    Predict,
    ScriptedLM,
    context,
)
from dspex_core.storage.files import write_atomically
from dspex_core.storage.journal import Journal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the size of files cannot be limited")
if sys.platform != "win32":
    from full_disk import files_of_at_most

ROWS = [Example(q=f"row {n}", a="x").with_inputs("q") for n in range(30)]


def test_the_error_names_the_file_and_the_old_one_stays(tmp_path):
    path = tmp_path / "file.json"
    write_atomically(path, "old")
    with files_of_at_most(100), pytest.raises(OSError, match="File too large") as raised:
        write_atomically(path, "new" * 100)
    assert str(raised.value) == f"[Errno {errno.EFBIG}] File too large: {str(path)!r}"
    assert [(file, file.read_text()) for file in tmp_path.iterdir()] == [(path, "old")]


def test_no_line_goes_on_from_half_a_line(tmp_path):
    journal = Journal(tmp_path / "journal", start=b"first")
    journal.append(b"first")
    with files_of_at_most(100):
        for _ in range(3):
            with pytest.raises(OSError, match="File too large"):
                journal.append(b"half" * 100)
    journal.append(b"second")
    assert journal.path.read_bytes() == b"first\nsecond\n"
    journal.close()


def test_what_was_evaluated_is_in_the_error_that_names_the_file(tmp_path):
    evaluate = Evaluate(devset=ROWS, metric=lambda *_: 1.0, save_as_csv=tmp_path / "result.csv")
    with files_of_at_most(100), pytest.raises(OSError, match=r"File too large: '.*result.csv'") as raised:
        evaluate(lambda q: q)
    assert len(raised.value.result.cases) == len(ROWS)


def test_a_compile_pays_for_no_answer_that_its_journal_cannot_keep(tmp_path):
    asked = []
    lm = ScriptedLM(lambda request: asked.append(request) or {"a": "word " * 100})
    path = tmp_path / "journal"
    optimizer = BootstrapFewShot(metric=lambda *_: True, max_bootstrapped_demos=20, max_labeled_demos=0)
    with context(lm=lm), files_of_at_most(10_000), pytest.raises((ConfigurationError, OptimizationError)) as raised:
        optimizer.compile(Predict("q -> a"), trainset=ROWS, journal=path)
    assert f"the journal {str(path)!r} cannot be written: File too large" in str(raised.value)
    kept = path.read_bytes().count(b"\n") - 1
    assert 10 < kept == len(asked) - 1
    with context(lm=lm):
        assert len(optimizer.compile(Predict("q -> a"), trainset=ROWS, journal=path).demos) == 20
