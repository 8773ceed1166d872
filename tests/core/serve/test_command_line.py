"""`python -m dspex_core.serve`: what it loads and refuses, and a service of its own from its first line to its end."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi")  # of the extra `serve`

import http_programs
import httpx

import dspex_core as dspy
from dspex_core.errors import ArtifactError, ConfigurationError, StaleArtifactError
from dspex_core.serve.command_line import main
from dspex_core.serve.loading import load_program


@pytest.fixture
def state(tmp_path):
    """The file of a state: what an optimized program leaves."""
    program = http_programs.qa()
    program.signature = program.signature.with_instructions("Answer in one word.")
    program.save(tmp_path / "qa.json")
    return tmp_path / "qa.json"


def refused(*arguments):
    """What the command says on stderr, where it refuses to serve."""
    out = io.StringIO()
    assert main([*arguments, "--port", "0", "--log", "none"], stderr=out) == 2
    assert out.getvalue().startswith("dspex: ")
    assert "Traceback" not in out.getvalue()
    return out.getvalue()


@pytest.mark.parametrize(
    ("flags", "absent", "extras"),
    [
        ((), ["uvicorn"], "serve"),
        ((), ["prometheus_client", "mcp"], "serve"),
        (("--mcp",), ["prometheus_client"], "serve"),
        (("--mcp",), ["fastapi", "mcp"], "mcp"),
        (("--mcp-http",), ["mcp"], "mcp"),
        (("--mcp-http",), ["fastapi", "mcp"], "serve,mcp"),
    ],
)
def test_all_extras_that_are_missing_are_named_at_once(monkeypatch, flags, absent, extras):
    for name in absent:
        monkeypatch.setitem(sys.modules, name, None)

    assert f'pip install "pytest-dspex[{extras}]"\n' in refused("--program", "http_programs:qa", *flags)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to serve"),
        (("no-such.json",), "no-such.json: cannot be read"),
        (("--program", "http_programs"), "write package.module:function"),
        (("--program", "no_such_module:x"), "cannot be imported"),
        (("--program", ".relative:x"), "write package.module:function"),
        (("--program", "broken_module:x"), "'broken_module:x' cannot be imported: ZeroDivisionError"),
        (("--program", "exiting_module:x"), "'exiting_module:x' cannot be imported: SystemExit"),
        (("--program", "http_programs:QA"), "'http_programs:QA' raised SignatureError"),
        (("--program", "http_programs:answers"), "does not name a program"),
        (("--program", "http_programs:nobody"), "does not name a program"),
        (("--program", "http_programs:qa", "--host", "0.0.0.0"), "--token-env"),
        (("--program", "http_programs:qa", "--token-env", "NO_SUCH_VARIABLE"), "'NO_SUCH_VARIABLE', which is not set"),
        (("--program", "http_programs:qa", "--workers", "-1"), "--workers must be"),
        (("--program", "http_programs:qa", "--workers", "0", "--timeout", "-1"), "`timeout` of a service"),
        (("--program", "http_programs:qa", "--workers", "0", "--budget-calls", "-1"), "a budget needs a limit"),
        (("--program", "http_programs:unset"), "the program 'qa' needs a model, and none is set"),
        (("--program", "http_programs:unset", "--workers", "0"), "the program 'qa' needs a model"),
        (("--program", "http_programs:qa", "--workers", "0", "--name", ""), "cannot be the name"),
        (("--program", "http_programs:qa", "--workers", "0", "--budget-tokens", "-1"), "a budget needs a limit"),
        (("--program", "http_programs:qa", "--workers", "0", "--name", "a/b"), "cannot be the name"),
        (("--program", "http_programs:qa", "--workers", "0", "--lm-options", "[]"), "must be a JSON object"),
    ],
)
def test_what_cannot_be_served_is_refused_with_one_message(arguments, message, tmp_path, monkeypatch):
    (tmp_path / "broken_module.py").write_text("1 / 0\n")
    (tmp_path / "exiting_module.py").write_text("import sys\nsys.exit(4)\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert message in refused(*arguments)


def test_a_state_is_served_with_its_program(state):
    assert load_program(state, factory="http_programs:qa").signature.instructions == "Answer in one word."
    with pytest.raises(ArtifactError, match="give that as --program"):
        load_program(state)


def test_a_program_of_the_tests_is_served_with_its_artifact(state, tmp_path, monkeypatch):
    (tmp_path / "tests_of_qa.py").write_text(
        "import pytest\n"
        "from http_programs import qa as build\n"
        "from pytest_dspex import program\n"
        "qa = program(build)\n"
        "@program\n"
        "def function(question): ...\n"
        "@pytest.fixture\n"
        "def plain(): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert load_program(state, factory="tests_of_qa:qa").signature.instructions == "Answer in one word."
    assert "@program 'function' is not a Module" in refused("--program", "tests_of_qa:function")
    message = refused("--program", "tests_of_qa:plain")
    assert "does not name a program" in message
    assert "cannot be imported" not in message


@pytest.mark.parametrize("content", ["", "[" * 50_000, "\0", "3"])
def test_a_damaged_file_is_refused(content, tmp_path):
    (tmp_path / "damaged.json").write_text(content)
    for factory in (None, "http_programs:qa"):
        with pytest.raises(ArtifactError, match=r"damaged\.json"):
            load_program(tmp_path / "damaged.json", factory=factory)
    with pytest.raises(ArtifactError):
        load_program("x" * 5000)


@pytest.mark.parametrize("path", [3, 3.5, [], {}, b"x.json"])
def test_a_path_of_another_kind_is_refused(path):
    with pytest.raises(ConfigurationError, match="must be named by a path"):
        load_program(path)


def test_a_whole_program_imports_nothing_unless_asked(tmp_path, monkeypatch):
    (tmp_path / "unheard_of.py").write_text(
        "import dspex_core as dspy\n"
        "class Own(dspy.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.part = dspy.Predict('question -> answer')\n"
        "    def forward(self, question: str):\n"
        "        return self.part(question=question)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    load_program(factory="unheard_of:Own").save(tmp_path / "whole", save_program=True)
    sys.modules.pop("unheard_of")

    with pytest.raises(ArtifactError, match="allow_import"):
        load_program(tmp_path / "whole")
    assert "unheard_of" not in sys.modules
    assert type(load_program(tmp_path / "whole", allow_import=True)).__name__ == "Own"
    sys.modules.pop("unheard_of")


def test_a_file_of_another_source_is_refused_only_with_strict(tmp_path, monkeypatch):
    program = http_programs.qa()
    compiled = dspy.LabeledFewShot(k=1).compile(
        program, trainset=[dspy.Example(question="a", answer="b").with_inputs("question")]
    )
    compiled.save(tmp_path / "qa.json")
    changed = http_programs.QA.with_instructions("Answer at length.")
    monkeypatch.setattr(http_programs, "QA", changed)

    with pytest.raises(StaleArtifactError):
        load_program(tmp_path / "qa.json", factory="http_programs:qa", strict=True)
    with pytest.warns(dspy.StaleArtifactWarning):
        load_program(tmp_path / "qa.json", factory="http_programs:qa")


def test_a_command_serves_in_a_worker_until_sigterm_and_ends_with_status_0(state):
    support = Path(http_programs.__file__).parent
    command = [sys.executable, "-m", "dspex_core.serve", str(state), "--program", "http_programs:qa", "--port", "0"]
    token = "quite-a-secret-token"
    environment = {**os.environ, "SERVE_TOKEN": token, "PYTHONPATH": str(support)}
    with subprocess.Popen(
        [*command, "--token-env", "SERVE_TOKEN", "--log", "json"], stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            first = process.stderr.readline()
            url = re.search(r"http://\S+", first)
            assert url, first + process.stderr.read()
            headers = {"authorization": f"Bearer {token}"}
            with httpx.Client(base_url=url[0], headers=headers, timeout=60, trust_env=False) as client:
                answer = client.post("/programs/qa", json={"question": "a private question"})
                metrics = client.get("/metrics").text
            process.send_signal(signal.SIGTERM)
            rest = process.stderr.read()
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert answer.json() == {"answer": "Paris"}
    assert 'dspex_workers_ready{program="qa"} 1.0' in metrics
    lines = rest.splitlines()
    assert lines[-1] == "dspex: ended"
    logged = [json.loads(line) for line in lines[:-1]]
    assert [one["status"] for one in logged if one.get("route") == "/programs/qa"] == [200]
    assert "private question" not in rest
    assert token not in first + rest
