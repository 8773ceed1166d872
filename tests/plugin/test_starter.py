"""`pytest --dspex-init`."""

import pytest

FILES = ["README.md", "conftest.py", "data/intents.jsonl", "test_intent.py"]


def written(path):
    return sorted(
        str(file.relative_to(path)) for file in path.rglob("*") if file.is_file() and "cache" not in str(file)
    )


def test_the_written_suite_passes_at_once(pytester, alone):
    made = alone("--dspex-init")
    assert made.ret == 0
    assert written(pytester.path) == FILES
    made.stdout.fnmatch_lines(["wrote *conftest.py", "run `pytest`; README.md says how to ask a real LM"])
    result = alone("-Werror", "--strict-markers")
    result.assert_outcomes(passed=6)  # five rows and the gate
    assert not (pytester.path / "cassettes").exists()


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_overwritten(pytester, alone, name):
    (pytester.path / "data").mkdir()
    (pytester.path / name).write_text("mine = 1\n" if name.endswith(".py") else "mine\n")
    result = alone("--dspex-init")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--dspex-init overwrites nothing, and * has {name} already*"])
    assert written(pytester.path) == [name]
    assert "mine" in (pytester.path / name).read_text()


def test_nothing_is_left_where_not_all_can_be_written(pytester, alone):
    (pytester.path / "data").write_text("a file, not a directory")
    result = alone("--dspex-init")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--dspex-init cannot write into *; nothing is written"])
    assert written(pytester.path) == ["data"]
