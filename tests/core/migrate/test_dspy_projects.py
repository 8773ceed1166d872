"""`python -m dspex_core.migrate PATH`: what of a project's use of DSPy runs here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dspex_core.migrate.command import main


@pytest.fixture
def survey(tmp_path, capsys):
    """Write files, read them with the command, and return its exit status and its findings as (place, status, name)."""

    def run(*paths, **files):
        for name, text in files.items():
            path = tmp_path / f"{name}.py"
            path.write_text(text)
        status = main([*map(str, paths or [tmp_path]), "--json"])
        found = json.loads(capsys.readouterr().out)
        places = [
            (f"{Path(each['file']).name}:{each['line']}", each["status"], each["name"]) for each in found["findings"]
        ]
        return status, places

    return run


def statuses(places):
    """Return the statuses of names that do not run unchanged."""
    return {name: status for _, status, name in places if status != "unchanged"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("import dspy\ndspy.AvatarOptimizer(url='u')", "dspy.AvatarOptimizer"),
        ("import dspy as d\nd.AvatarOptimizer(url='u')", "dspy.AvatarOptimizer"),
        ("from dspy import AvatarOptimizer as C\nC(url='u')", "dspy.AvatarOptimizer"),
        ("from dspy import *\nAvatarOptimizer(url='u')", "dspy.AvatarOptimizer"),
        ("import dspy.clients\nx = dspy.AvatarOptimizer\nx(url='u')", "dspy.AvatarOptimizer"),
        ("import dspy\nd, n = dspy, 1\nd.AvatarOptimizer(url='u')", "dspy.AvatarOptimizer"),
        ("import importlib\nd = importlib.import_module('dspy')\nd.AvatarOptimizer(url='u')", "dspy.AvatarOptimizer"),
        ("import dspy\ngetattr(dspy, 'AvatarOptimizer')", "dspy.AvatarOptimizer"),
        (
            "try:\n    import dspy\nexcept ImportError:\n    dspy = None\ndspy.AvatarOptimizer(url='u')",
            "dspy.AvatarOptimizer",
        ),
        (
            "try:\n    import dspy\nexcept* ImportError:\n    dspy = None\ndspy.AvatarOptimizer(url='u')",
            "dspy.AvatarOptimizer",
        ),
        (
            "import dspy\nmatch 1:\n    case 1:\n        dspy = None\ndspy.AvatarOptimizer(url='u')",
            "dspy.AvatarOptimizer",
        ),
        ("import dspy\ndef f(a=lambda dspy: 1): ...\ndspy.AvatarOptimizer(url='u')", "dspy.AvatarOptimizer"),
        ("import dspy\ndef f(a=lambda dspy: 1):\n    dspy.AvatarOptimizer(url='u')", "dspy.AvatarOptimizer"),
        ("def f():\n    from dspy.dsp.colbertv2 import ColBERTv2RetrieverLocal", None),
        ("from unittest import mock\nmock.patch('dspy.AvatarOptimizer')", "dspy.AvatarOptimizer"),
        ("import dspy\nasync def f(x: dspy.AvatarOptimizer = None): ...", "dspy.AvatarOptimizer"),
        ("import dspy\nf = lambda: [dspy.AvatarOptimizer(u) for u in 'ab']", "dspy.AvatarOptimizer"),
        ("import dspy\nclass A(dspy.AvatarOptimizer): ...", "dspy.AvatarOptimizer"),
    ],
)
def test_a_missing_name_is_found_however_it_is_imported(survey, text, name):
    status, places = survey(app=text)
    last = len(text.splitlines())
    assert status == 1
    assert (f"app.py:{last}", "missing", name or "dspy.dsp.colbertv2.ColBERTv2RetrieverLocal") in places


@pytest.mark.parametrize(
    "text",
    [
        "class dspy:\n    pass\ndspy.AvatarOptimizer",
        "import dspy\ndef f(dspy):\n    return dspy.AvatarOptimizer",
        "import dspy\ndspy = object()\ndspy.AvatarOptimizer",
        "from mine import dspy\ndspy.AvatarOptimizer",
        "from .dspy import AvatarOptimizer\nAvatarOptimizer()",
        "import dspyx as dspy\ndspy.AvatarOptimizer",
        "text = 'import dspy; dspy.AvatarOptimizer'",
        "import dspy\nprint([dspy.AvatarOptimizer for dspy in ()])",
    ],
)
def test_a_name_that_is_not_dspys_is_not_reported(survey, text):
    status, places = survey(app=text)
    assert (status, statuses(places)) == (0, {})


def test_each_use_has_its_line_and_what_runs_unchanged_is_named_too(survey):
    text = "import dspy\n\nqa = dspy.Predict('question -> answer')\nprint(qa(question='?').answer)\n"
    assert survey(app=text) == (
        0,
        [("app.py:1", "unchanged", "dspy"), ("app.py:3", "unchanged", "dspy.Predict")],
    )


def test_arguments_that_are_not_taken_are_missing_and_those_without_the_same_effect_differ(survey):
    text = (
        "import dspy\n"
        "dspy.PythonInterpreter(deno_command=['deno'])\n"
        "dspy.LM('openai/m', use_developer_role=True, temperature=0)\n"
        "dspy.configure(lm=None, tracee=[])\n"
        "dspy.PythonInterpreter(['deno'])\n"
        "dspy.LM(*[1, 2, 3, 4, 5, 6, 7], **{})\n"
    )
    status, places = survey(app=text)
    assert status == 1
    assert [place for place in places if place[1] != "unchanged"] == [
        ("app.py:2", "differs", "dspy.PythonInterpreter"),
        ("app.py:2", "missing", "dspy.PythonInterpreter(deno_command=)"),
        ("app.py:3", "differs", "dspy.LM(use_developer_role=)"),
        ("app.py:4", "missing", "dspy.configure(tracee=)"),
        ("app.py:5", "differs", "dspy.PythonInterpreter"),
        ("app.py:5", "missing", "dspy.PythonInterpreter(...)"),
    ]


def test_each_call_of_a_chain_is_checked(survey):
    text = (
        "import dspy\n"
        "dspy.settings.configure(tracee=[])\n"
        "dspy.GEPA(metric=None, log_dir='x').compile(None, trainset=[])\n"
        "dspy.Signature(dspy.AvatarOptimizer().name).append_instructions(instructions='x')\n"
        "dspy.PythonInterpreter(deno_command=[]).tools\n"
    )
    missing = [(place, name) for place, status, name in survey(app=text)[1] if status == "missing"]
    assert missing == [
        ("app.py:2", "dspy.settings.configure(tracee=)"),
        ("app.py:4", "dspy.AvatarOptimizer"),
        ("app.py:5", "dspy.PythonInterpreter(deno_command=)"),
    ]
    assert statuses(survey(app=text)[1])["dspy.GEPA(log_dir=)"] == "differs"


def test_methods_of_objects_and_of_self_are_followed_to_their_class(survey):
    text = (
        "import dspy\n"
        "rules = dspy.InferRules(metric=None)\n"
        "rules.format_examples([], None)\n"
        "rules.compile(None, trainset=[])\n"
        "class Program(dspy.Module):\n"
        "    def __init__(self):\n"
        "        self.rules = dspy.InferRules(metric=None)\n"
        "        self.get_predictor_demos = print\n"
        "    def forward(self, q):\n"
        "        return self.rules.get_predictor_demos()\n"
        "    def evaluate_program(self): ...\n"
        "class Mine(dspy.InferRules):\n"
        "    def format_examples(self): ...\n"
        "Mine(metric=None).format_examples()\n"
        "Mine(metric=None).update_program_instructions()\n"
        "Program().evaluate_program()\n"
    )
    _, places = survey(app=text)
    assert [place for place in places if place[1] != "unchanged"] == [
        ("app.py:3", "missing", "dspy.InferRules.format_examples"),
        ("app.py:10", "missing", "dspy.InferRules.get_predictor_demos"),
        ("app.py:13", "differs", "dspy.InferRules.format_examples"),
        ("app.py:15", "missing", "dspy.InferRules.update_program_instructions"),
    ]


def test_attributes_of_self_are_those_of_their_own_class(survey):
    text = (
        "import dspy\n"
        "class Service:\n"
        "    other = dspy.InferRules(metric=None)\n"
        "    def __init__(self):\n"
        "        self.rules = dspy.InferRules(metric=None)\n"
        "    def stop(self):\n"
        "        self.rules.evaluate_program()\n"
        "        self.other.evaluate_program()\n"
        "class Program(dspy.Module):\n"
        "    def stop(self):\n"
        "        self.rules.evaluate_program()\n"
        "rules = None\n"
        "def stop(self):\n"
        "    self.rules.evaluate_program()\n"
    )
    found = [place for place, status, _ in survey(app=text)[1] if status == "missing"]
    assert found == ["app.py:7", "app.py:8"]


def test_names_that_import_star_takes_are_read_like_others(survey):
    text = "from dspy import *\nPredict('a -> b')\nMIPROv2(metric=None)\n"
    assert statuses(survey(app=text)[1]) == {"dspy.MIPROv2": "differs"}
    assert survey(app="from dspy import *\nM = AvatarOptimizer\nM()\n")[1][1:] == [
        ("app.py:2", "missing", "dspy.AvatarOptimizer"),
        ("app.py:3", "missing", "dspy.AvatarOptimizer"),
    ]


def test_names_of_older_releases_are_missing_with_what_to_do(survey, capsys, tmp_path):
    (tmp_path / "old.py").write_text("import dspy\ndspy.OpenAI(model='gpt-4')\ndspy.Assert(True)\n")
    assert main([str(tmp_path / "old.py")]) == 1
    out = capsys.readouterr().out
    assert f"{tmp_path / 'old.py'}:2:1: missing: dspy.OpenAI: DSPy 3.3.1 does not have it, either. Use `LM(" in out
    assert "Use `Refine` or `BestOfN`" in out
    assert "3 uses: 1 unchanged (33%), 0 differ, 2 missing" in out
    (tmp_path / "older.py").write_text("import dspy\nlm = dspy.LM('openai/m')\nlm.basic_request('Hi')\n")
    assert main([str(tmp_path / "older.py")]) == 1
    assert (
        "older.py:3:1: missing: dspy.LM.basic_request: DSPy 3.3.1 does not have it, either." in capsys.readouterr().out
    )


def test_a_notebook_is_read_cell_by_cell_without_its_magics(tmp_path, capsys):
    cells = [
        {"cell_type": "markdown", "source": ["import dspy"]},
        {"cell_type": "code", "source": ["%pip install dspy\n", "import dspy\n", "!ls\n", "x = !ls"]},
        {"cell_type": "code", "source": "%%bash\nls ("},
        {"cell_type": "code", "source": "this is not Python code"},
        {"cell_type": "code", "source": ["%%time\n", "\n", "await dspy.AvatarOptimizer(url='u')"]},
    ]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": cells}))
    assert main(["dspy", str(tmp_path), "-q"]) == 1
    captured = capsys.readouterr()
    assert f"{tmp_path}/n.ipynb:cell 5:3:7: missing: dspy.AvatarOptimizer: " in captured.out
    assert "cell 4: is not Python" in captured.err


def test_what_cannot_be_read_is_named_once_each_and_the_rest_is_read(tmp_path, capsys):
    (tmp_path / "good.py").write_text("import dspy\n")
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "two.py").write_text("print 'hello'\n")
    (tmp_path / "latin.py").write_bytes(b"x = '\xe9'\n")
    (tmp_path / "cookie.py").write_bytes(b"# coding: no-such-encoding\n")
    (tmp_path / "nul.py").write_bytes(b"x = 1\0\n")
    (tmp_path / "deep.py").write_text("x = " + "(" * 5000 + ")" * 5000)
    (tmp_path / "sum.py").write_text("x = " + "+".join(["1"] * 4000))
    (tmp_path / "bad.ipynb").write_text("{}")
    (tmp_path / "loop.py").symlink_to("loop.py")
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    names = ["broken", "two", "latin", "cookie", "nul", "deep", "sum", "bad", "loop"]
    assert main([str(tmp_path)]) == 1
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert [sum(f"/{name}." in line for line in lines) for name in names] == [1] * len(names)
    assert sum("again: is a link to a folder around it" in line for line in lines) == 1
    assert len(lines) == len(names) + 1
    assert f"{tmp_path}/good.py:1:8: unchanged: dspy" in captured.out
    assert "1 file read, 1 of them with DSPy" in captured.out


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every folder")
@pytest.mark.parametrize("rights", [0, 0o400])
def test_a_folder_that_cannot_be_read_is_named_and_the_project_is_not_said_to_run(tmp_path, capsys, rights):
    (tmp_path / "good.py").write_text("import dspy\n")
    (tmp_path / "closed" / "inner").mkdir(parents=True)
    (tmp_path / "closed").chmod(rights)
    try:
        assert main([str(tmp_path)]) == 1
    finally:
        (tmp_path / "closed").chmod(0o700)
    captured = capsys.readouterr()
    assert f"{tmp_path}/closed" in captured.err
    assert "cannot be read: Permission denied" in captured.err
    assert "good.py:1:8: unchanged" in captured.out


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a name is a text")
def test_names_without_a_form_in_utf_8_are_escaped_and_a_closed_pipe_is_no_error(tmp_path):
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff.py")).write_text("import dspy\n" * 3000)
    command = [sys.executable, "-m", "dspex_core.migrate", str(tmp_path)]
    encoding = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    with subprocess.Popen(command, env=encoding, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert rb"/\udcff.py:1:8: unchanged: dspy" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


def test_encodings_that_python_reads_are_read(survey, tmp_path):
    (tmp_path / "bom.py").write_bytes("\ufeffimport dspy\n".encode())
    (tmp_path / "cookie.py").write_bytes("# -*- coding: latin-1 -*-\nimport dspy  # é\n".encode("latin-1"))
    (tmp_path / "windows.py").write_bytes(b"import dspy\r\ndspy.LM('a/b')\r\n")
    status, places = survey()
    assert status == 0
    assert [place for place, _, _ in places] == ["bom.py:1", "cookie.py:2", "windows.py:1", "windows.py:2"]


def test_environments_and_hidden_folders_are_left_out_and_links_are_followed_once(tmp_path, survey):
    project = tmp_path / "project"
    for name in (".git", "env", "node_modules", "app"):
        (project / name).mkdir(parents=True)
        (project / name / f"in_{name.strip('.')}.py").write_text("import dspy\n")
    (project / "env" / "pyvenv.cfg").touch()
    (tmp_path / "shared.py").write_text("import dspy\n")
    (project / "link.py").symlink_to(tmp_path / "shared.py")
    (project / "app_too").symlink_to(project / "app")
    assert [place for place, _, _ in survey(project, project / "app")[1]] == ["in_app.py:1", "link.py:1"]


@pytest.mark.parametrize("arguments", [[], ["dspy"], ["--no-such-option", "x"], ["x", "--json", "--github"]])
def test_wrong_use_has_status_2_and_a_message(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: python -m dspex_core.migrate" in capsys.readouterr().err


def test_a_path_without_python_files_has_status_2(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert f"no Python file or notebook in {tmp_path}" in capsys.readouterr().err
    assert main([str(tmp_path / "gone")]) == 2
    assert "gone: there is no such file or folder" in capsys.readouterr().err
    assert main(["a" * 5000]) == 2


def test_annotations_are_workflow_commands(tmp_path, capsys):
    path = tmp_path / "a,b.py"
    path.write_text("import dspy\ndspy.AvatarOptimizer('u')\ndspy.GEPA()\n")
    assert main([str(path), "--github"]) == 1
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith(f"::error file={tmp_path}/a%2Cb.py,line=2,col=1::dspy.AvatarOptimizer: `GEPA`")
    assert second.startswith("::warning file=")
