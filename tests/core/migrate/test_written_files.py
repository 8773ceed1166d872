"""The files that `python -m dspex_core.migrate promptfoo|deepeval|langsmith` writes: datasets and first tests."""

import ast
import json
import subprocess
import sys

import pytest
import yaml

from dspex_core import load_dataset
from dspex_core.migrate.command import main

GOLDENS = json.dumps(
    [{"input": "Where?", "expected_output": "delivery"}, {"input": "Money", "expected_output": "refund"}]
)


def test_files_are_never_written_over_unless_asked_and_tests_never(tmp_path, capsys):
    source, rows, test = (tmp_path / name for name in ("g.json", "rows.jsonl", "test_x.py"))
    source.write_text(GOLDENS)
    command = ["deepeval", str(source), "--to", str(rows)]
    assert main([*command, "--tests", str(test)]) == 0
    assert load_dataset(str(rows), inputs=["input"])[0].expected_output == "delivery"
    test.write_text("mine")
    assert main(command) == 2
    assert main([*command, "--overwrite", "--tests", str(test)]) == 2
    assert main(["deepeval", str(source), "--tests", str(tmp_path / "t.py")]) == 2
    assert main(["deepeval", str(source), "--to", str(tmp_path / "rows.csv")]) == 2
    assert main(["deepeval", str(source), "--to", str(tmp_path / "r.jsonl"), "--tests", str(tmp_path / "r.jsonl")]) == 2
    assert main(["deepeval", str(rows), "--to", str(rows), "--overwrite"]) == 2
    assert main([*command, "--overwrite"]) == 0
    assert test.read_text() == "mine"
    said = capsys.readouterr().err
    assert "a test is never written over" in said
    assert "--tests needs --to" in said


@pytest.mark.parametrize("blocked", ["rows", "tests"])
def test_both_files_are_written_or_neither(tmp_path, blocked):
    source = tmp_path / "g.json"
    source.write_text(GOLDENS)
    (tmp_path / blocked).write_text("a file, where a folder is to be")
    rows, test = tmp_path / "rows" / "rows.jsonl", tmp_path / "tests" / "test_x.py"
    assert main(["deepeval", str(source), "--to", str(rows), "--tests", str(test)]) == 2
    assert (rows.exists(), test.exists()) == (False, False)


@pytest.mark.parametrize(
    ("tool", "text", "said"),
    [
        ("deepeval", '[{"input": "x"}]', "no column says what a program should answer"),
        ("promptfoo", '[{"assert": [{"type": "equals", "value": "x"}]}]', "no column is an input of a program"),
        ("langsmith", r'[{"inputs": {"q": "\ud800"}, "outputs": {"a": "x"}}]', r"'\ud800' is half of a surrogate pair"),
    ],
)
def test_without_rows_that_a_test_can_use_nothing_is_written(tmp_path, capsys, tool, text, said):
    source, rows, test = (tmp_path / name for name in ("g.json", "rows.jsonl", "test_g.py"))
    source.write_text(text)
    assert main([tool, str(source), "--to", str(rows), "--tests", str(test)]) == 2
    assert said in capsys.readouterr().err
    assert (rows.exists(), test.exists()) == (False, False)


def test_a_first_test_gives_each_field_a_name_of_its_own_and_inputs_without_a_value_a_place(tmp_path):
    source, test = tmp_path / "d.jsonl", tmp_path / "test_d.py"
    source.write_text(json.dumps({"inputs": {"q": "Q", "hint": None}, "outputs": {"q": "A"}}))
    assert main(["langsmith", str(source), "--to", str(tmp_path / "rows.jsonl"), "--tests", str(test)]) == 0
    assert 'Predict("q, hint -> expected_q")' in test.read_text()


ALL_KINDS = [
    *({"type": kind, "value": "ok {{q}}"} for kind in ("equals", "contains", "icontains", "starts-with", "regex")),
    *({"type": kind, "value": ["OK", "ok"]} for kind in ("contains-any", "icontains-all", "icontains-any")),
    *({"type": f"not-{kind}", "value": "zz"} for kind in ("equals", "contains", "icontains", "starts-with", "regex")),
    *({"type": f"not-{kind}", "value": ["z", "zz"]} for kind in ("contains-any", "contains-all")),
    {"type": "equals", "value": {"a": 1}},
    {"type": "not-equals", "value": {"a": 1}},
    {"type": "is-json"},
    {"type": "llm-rubric", "value": 'says "ok"'},
    {"type": "similar", "value": "ok", "threshold": 0.6},
]


def test_the_first_test_is_code_as_people_write_it(tmp_path):
    odd = tmp_path / 'a"""b.yaml'
    tests = [{"vars": {"q": "a", "class": ["x"], "n": 1}, "assert": ALL_KINDS}]
    prompts = ['Say "{{q}}" \\ and\nno more']
    odd.write_text(yaml.safe_dump({"tests": tests, "prompts": prompts}))
    test = tmp_path / "tests" / "test_all.py"
    assert main(["promptfoo", str(odd), "--to", str(tmp_path / "data" / "rows.jsonl"), "--tests", str(test)]) == 0
    text = test.read_text()
    ast.parse(text)
    assert "../data/rows.jsonl" in text
    assert '"value_class, n: int, q -> output"' in text
    command = ["ruff", "check", "--isolated", "--select=E,F,W,I,B", "--ignore=E501", "--line-length=120", str(test)]
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_first_test_runs_and_fails_for_the_rows_that_miss(tmp_path):
    kinds = [each for each in ALL_KINDS if each["type"] not in ("llm-rubric", "similar", "is-json")]
    kinds = [each for each in kinds if each.get("value") != {"a": 1}]
    rows = [{"vars": {"q": "a"}, "assert": kinds}, {"vars": {"q": "b"}, "assert": [{"type": "equals", "value": "no"}]}]
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"tests": rows}))
    targets = ["--to", str(tmp_path / "rows.jsonl"), "--tests", str(tmp_path / "test_c.py")]
    assert main(["promptfoo", str(tmp_path / "c.yaml"), *targets]) == 0
    conftest = (
        "import pytest\nfrom dspex_core import ScriptedLM\n\n\n@pytest.fixture(scope='session')\ndef lm():\n"
        "    return ScriptedLM(lambda request: {'output': 'ok a'})\n"
    )
    (tmp_path / "conftest.py").write_text(conftest)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 1, done.stdout
    assert "2 passed" in done.stdout, done.stdout
    assert "passed 0.5 " in done.stdout, done.stdout
    assert ": 0  expected\n" in done.stdout, done.stdout
