"""The code in the README and in docs/ works as it stands there."""

import json
import re
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from textwrap import dedent
from threading import Thread

import pytest
import yaml
from openai_server import OpenAIServer

from dspex_core.migrate.command import main
from dspex_core.serve.command_line import parser

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"[\w/]+\.(?:py|jsonl?|ini|yaml)")

SCRIPTED_LM = """

import pytest
from dspex_core import ScriptedLM


@pytest.fixture(scope="session")
def lm():
    return ScriptedLM({"money": {"intent": "refund"}, "where": {"intent": "delivery"}, "stop": {"intent": "cancel"}})
"""

ANSWERING = """import pytest
from dspex_core import ScriptedLM


@pytest.fixture(scope="session")
def lm():
    def answer(request):
        asked = str(request.messages[-1])
        said = next((said for word, said in {answers}.items() if word in asked), "Italy")
        return {{"output": said, "answer": said}}

    return ScriptedLM(answer)
"""


@contextmanager
def answering_once():
    """Take one HTTP request on a loopback port, as a collector does."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.timeout = 60
        thread = Thread(target=server.handle_request)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces"
        thread.join()
    assert received


def files_in(document):
    """Return the document's files: each block that the line before it, or its own first line, gives a name."""
    text = (ROOT / document).read_text()
    found = {}
    for block in BLOCK.finditer(text):
        before = text[: block.start()].strip().rpartition("\n\n")[2]
        names = FILE_NAME.findall(block[2].split("\n", 1)[0]) or FILE_NAME.findall(before)[:1]
        if names and block[1] in ("python", "json", "ini", "yaml"):
            found.setdefault(names[0], block[2])
    return found


def run_pytest(folder, *arguments):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=110)


@pytest.fixture
def project(tmp_path):
    """Write a document's files into an empty folder."""

    def write(document):
        for name, text in files_in(document).items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return write


def test_the_readmes_example_runs(project):
    folder = project("README.md")
    (folder / "data").mkdir()
    rows = [("I want my money back", "refund"), ("where is it", "delivery"), ("stop my plan", "cancel")]
    for name in ("train", "test"):
        lines = [json.dumps({"text": text, "intent": intent}) for text, intent in rows]
        (folder / "data" / f"{name}.jsonl").write_text("\n".join(lines))
    with (folder / "conftest.py").open("a") as conftest:
        conftest.write(SCRIPTED_LM)
    done = run_pytest(folder)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout  # three cases and the gate


def test_the_code_about_other_libraries_runs(project, monkeypatch):
    answers = {"arrived": "Delivery", "money": "Refund"}

    def label(request):
        return next(said for word, said in answers.items() if word in request["messages"][-1]["content"])

    folder = project("docs/other-libraries.md")
    with OpenAIServer(script=label) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        recorded = run_pytest(folder, "--dspex-record=new")
        assert (recorded.returncode, "2 recorded" in recorded.stdout) == (0, True), recorded.stdout
    replayed = run_pytest(folder)
    assert (replayed.returncode, "2 replayed" in replayed.stdout) == (0, True), replayed.stdout


def test_the_code_about_cases_runs(project):
    folder = project("docs/cases.md")
    conftest = files_in("README.md")["conftest.py"] + SCRIPTED_LM.replace('"where"', '"parcel"')
    (folder / "conftest.py").write_text(conftest)
    (folder / "data").mkdir()
    rows = [{"text": "I want my money back", "intent": "refund"}, {"text": "my parcel", "intent": "delivery"}]
    (folder / "data" / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = run_pytest(folder)
    assert done.returncode == 0, done.stdout
    assert "21 passed, 1 skipped" in done.stdout


def test_the_commands_and_the_code_about_other_tools_run(project, monkeypatch, capsys):
    folder = project("docs/migrating-from-other-tools.md")
    monkeypatch.chdir(folder)
    text = (ROOT / "docs" / "migrating-from-other-tools.md").read_text()
    shown = [block[2].splitlines() for block in BLOCK.finditer(text) if block[1] == "console"][1:]
    for command, *messages in shown:
        main(command.split()[4:])
        said = capsys.readouterr().err.replace("python -m dspex_core.migrate: ", "").splitlines()
        assert [line for line in said if "is a column without a check" not in line] == messages
    answers = {"Paris": "France", "parcel": "delivery", "money": "refund", "France": "Paris", "Peru": "Lima"}
    (folder / "conftest.py").write_text(ANSWERING.format(answers=answers))
    done = run_pytest(folder)
    assert (done.returncode, "10 passed" in done.stdout) == (0, True), done.stdout  # seven cases and three gates


def test_the_code_about_properties_runs(project):
    folder = project("docs/properties.md")
    intents = """

    import pytest
    from dspex_core import ScriptedLM


    @pytest.fixture(scope="session")
    def lm():
        return ScriptedLM(lambda request: {"intent": "refund" if "money" in str(request).lower() else "delivery"})
    """
    (folder / "conftest.py").write_text(files_in("README.md")["conftest.py"] + dedent(intents))
    done = run_pytest(folder)
    assert (done.returncode, "2 passed" in done.stdout) == (0, True), done.stdout


def test_the_code_about_executors_runs(project):
    folder = project("docs/scaling.md")
    done = subprocess.run([sys.executable, "scale.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "EvaluationResult(exact: 1.000, n=100)\n"), done.stderr


def test_the_plugin_of_the_page_about_hooks_works(project):
    folder = project("docs/extending.md")
    recorded = run_pytest(folder, "--dspex-record=new")
    assert (recorded.returncode, "4 passed" in recorded.stdout) == (0, True), recorded.stdout
    replayed = run_pytest(folder, "--dspex-report=csv:cases.csv")
    assert (replayed.returncode, "2 replayed" in replayed.stdout) == (0, True), replayed.stdout
    assert (folder / "cases.csv").read_text() == "mail1,pass\nmail2,pass\n"


@pytest.mark.timeout(400)
def test_getting_started_works_step_by_step_with_the_embedded_lm(project):
    folder = project("docs/getting-started.md")
    assert sorted(path.name for path in folder.iterdir()) == [
        "conftest.py",
        "pytest.ini",
        "test.jsonl",
        "test_intent.py",
        "train.jsonl",
    ]
    (folder / "pytest.ini").unlink()  # names a model that needs a key
    recorded = run_pytest(folder, "--dspex-record=new")
    assert recorded.returncode in (0, 1), recorded.stdout  # a model this small may miss the gate
    assert "4 recorded" in recorded.stdout, recorded.stdout
    replayed = run_pytest(folder)
    assert (replayed.returncode, "4 replayed" in replayed.stdout) == (recorded.returncode, True), replayed.stdout
    optimized = run_pytest(folder, "--dspex-live", "--dspex-optimize")
    assert "optimize intent: " in optimized.stdout, optimized.stdout
    assert "held-out" in optimized.stdout


def test_the_test_of_an_agent_in_getting_started_passes(tmp_path):
    text = (ROOT / "docs/getting-started.md").read_text().partition("## Test an agent")[2]
    [code] = [block[2] for block in BLOCK.finditer(text)]
    (tmp_path / "test_agent.py").write_text(code)
    done = run_pytest(tmp_path)
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout


def test_the_code_about_observability_runs():
    text = (ROOT / "docs/observability.md").read_text()
    blocks = [block[2] for block in BLOCK.finditer(text) if block[1] == "python"]
    endpoint = "http://localhost:4318/v1/traces"
    assert sum(endpoint in block for block in blocks) == 1
    setup = """
import dspex_core
dspex_core.configure(lm=dspex_core.ScriptedLM(lambda _: {"reasoning": "r", "answer": "In rivers."}))
"""
    with answering_once() as url:
        code = "\n".join([setup, *blocks]).replace(endpoint, url)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


AGENT_REPLIES = [
    {"next_thought": "look", "next_tool_name": "find_order", "next_tool_args": {"order_id": "A1"}},
    {"next_thought": "enough", "next_tool_name": "finish", "next_tool_args": {}},
    {"reasoning": "It says so.", "answer": "It was shipped."},
    {"next_thought": "add", "next_tool_name": "add", "next_tool_args": {"a": 2, "b": 3}},
    {"next_thought": "enough", "next_tool_name": "finish", "next_tool_args": {}},
    {"reasoning": "It says so.", "answer": "5"},
    {"reasoning": "Multiply.", "generated_code": "SUBMIT(3 * 80.0)"},
    {"reasoning": "As computed.", "answer": "240.0"},
    {"reasoning": "It says so.", "response": "Otters do."},
    {"reasoning": "It says so.", "response": "Foxes, which dig dens."},
    {"reasoning": "It says so.", "response": "Foxes do."},
    *[{"reasoning": "It says so.", "response": "Herons do."}] * 3,
]


def test_the_code_about_agents_and_streaming_runs():
    text = (ROOT / "docs/agents-and-streaming.md").read_text()
    code = "\n".join(block[2] for block in BLOCK.finditer(text) if block[1] == "python")
    server = [str(ROOT / "tests/support/mcp_server.py")]
    for written, meant in {
        'dspy.LM("openai/gpt-4o-mini")': f"dspy.ScriptedLM({AGENT_REPLIES!r})",
        'command="orders-server"': f"command={sys.executable!r}, args={server!r}",
    }.items():
        assert code.count(written) == 1
        code = code.replace(written, meant)
    code += "\nassert answer == '5' and len(dspy.settings.lm.history) == 14"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


JUDGING = """
import dspex_core


def judged(request):
    asked, shown = request.messages[0].text, request.messages[-1].text
    if "[[ ## answer ## ]]" in asked:
        return {"answer": "On Friday."}
    if "[[ ## steps ## ]]" in asked:
        return {"steps": ["Count the words.", "Give a score."]}
    if "[[ ## claims ## ]]" in asked:
        return {"claims": ["It left Lyon.", "It is heavy."]}
    if "[[ ## supported ## ]]" in asked:
        return {"reasoning": "r", "supported": "yes" if "It left Lyon." in shown else "no"}
    if "[[ ## better ## ]]" in asked:
        return {"reasoning": "r", "better": "A" if shown.index("On Friday") < shown.index("No idea") else "B"}
    return {"reasoning": "r", "score": 1 if "No." in shown or "Look it up" in shown else 4}
"""


def test_the_code_about_judges_runs(project):
    folder = project("docs/judges.md")
    text = (ROOT / "docs/judges.md").read_text()
    model = 'LM("openai/gpt-4o-mini", temperature=0.0)'
    blocks = [
        block[2] for block in BLOCK.finditer(text) if block[1] == "python" and "# test_support.py" not in block[2]
    ]
    code = "\n".join([JUDGING, "dspex_core.configure(lm=dspex_core.ScriptedLM(judged))", *blocks])
    assert code.count(model) == 1
    code = code.replace(model, "dspex_core.ScriptedLM(judged)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "Cohen's kappa" in done.stdout
    assert "win rate 1.000" in done.stdout
    assert "corrected" in done.stdout
    lm = "import pytest\nfrom dspex_core import Predict, ScriptedLM\nfrom pytest_dspex import program\n\n\n"
    lm += "@pytest.fixture(scope='session')\ndef lm():\n    return ScriptedLM(judged)\n\n\n"
    lm += "@program\ndef support():\n    return Predict('question -> answer')\n"
    (folder / "conftest.py").write_text(f"{JUDGING}\n{lm}")
    (folder / "rows.jsonl").write_text('{"question": "Where is my parcel?"}\n')
    tested = run_pytest(folder)
    assert (tested.returncode, "2 passed" in tested.stdout) == (0, True), tested.stdout


def test_the_code_about_production_runs_and_its_commands_are_ones(project):
    pytest.importorskip("fastapi")  # of the extra `serve`
    text = (ROOT / "docs/production.md").read_text()
    folder = project("docs/production.md")
    blocks = [block[2] for block in BLOCK.finditer(text) if block[1] == "python" and "# triage.py" not in block[2]]
    code = "\n".join(["import dspex_core as dspy", "from triage import triage", *blocks])
    code += "\nassert set(app(program).openapi()['paths']) >= {'/programs/triage', '/programs/triage/stream'}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    written = [*re.findall(r"python -m dspex_core\.serve ([^`\n]*)", text)]
    written.append(" ".join(json.loads(re.search(r"^CMD (\[.*\])$", text, re.MULTILINE)[1])[3:]))
    assert len(written) == 7
    for command in written:
        assert parser().parse_args(command.split()).artifact.startswith("artifacts/triage")


def test_every_python_block_of_the_docs_compiles():
    for document in ["README.md", *(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))]:
        for block in BLOCK.finditer((ROOT / document).read_text()):
            if block[1] == "python":
                compile(block[2], document, "exec")


def test_every_link_between_the_docs_leads_somewhere():
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "example_suites").glob("*/README.md")]:
        prose = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)#:]+)\)", prose):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_code_about_evaluation_runs(tmp_path):
    text = (ROOT / "docs/evaluation.md").read_text()
    code = "\n".join(block[2] for block in BLOCK.finditer(text) if block[1] == "python")
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "95 % interval" in done.stdout


@pytest.mark.parametrize("page", ["datasets", "metrics", "statistics"])
def test_the_code_about_data_and_numbers_runs(page, tmp_path):
    text = (ROOT / f"docs/{page}.md").read_text()
    code = "\n".join(block[2] for block in BLOCK.finditer(text) if block[1] == "python")
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_workflows_call_pytest_with_options_that_it_has():
    text = (ROOT / "docs/integration.md").read_text()
    reference = (ROOT / "docs/reference.md").read_text()
    workflows = {block[2].split()[1]: yaml.safe_load(block[2]) for block in BLOCK.finditer(text) if block[1] == "yaml"}
    assert list(workflows) == [".github/workflows/language-models.yml", ".gitlab-ci.yml"]
    commands = re.findall(r"(?:- |run: )(pytest .*)", text)
    assert len(commands) == 5
    for option in re.findall(r"(--dspex-[a-z-]+)", " ".join(commands)):
        assert f"`{option}" in reference


def test_the_code_about_telemetry_and_mcp_runs(project, monkeypatch):
    folder = project("docs/integration.md")
    test = (folder / "test_agent.py").read_text()
    server = [str(ROOT / "tests/support/mcp_server.py")]
    assert test.count('command="orders-server"') == 1
    test = test.replace('command="orders-server"', f"command={sys.executable!r}, args={server!r}")
    (folder / "test_agent.py").write_text(test)
    lm = SCRIPTED_LM.partition("ScriptedLM({")[0] + f"ScriptedLM({AGENT_REPLIES[3:6]!r})\n"
    with (folder / "conftest.py").open("a") as conftest:
        conftest.write(lm)
    with answering_once() as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url)
        done = run_pytest(folder, "--dspex-report=html:report.html,json:report.json")
        assert done.returncode == 0, done.stdout
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout
    assert json.loads((folder / "report.json").read_text())["format"] == "dspex-report"
