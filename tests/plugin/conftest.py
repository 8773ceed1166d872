"""A small project to run the plugin on, alone and on two xdist workers."""

import gc
import json
import pkgutil
import sys
import textwrap
from importlib import import_module

import pytest
from cassette_files import calls_in
from hypothesis import find, settings
from hypothesis import strategies as st

import dspex_core
import pytest_dspex

# pytester forgets the modules that a session in this process has loaded; classes would exist twice.
for package in (dspex_core, pytest_dspex):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        try:
            import_module(module.name)
        except ImportError as error:
            if "pytest-dspex[" not in str(error):  # of an extra that is not installed
                raise
import_module("numpy")  # only some gates load it, and a process can do so once

# Its LM answers with the last word of the question and notes every call. It is no ScriptedLM: those
# never go through a cassette.
CONFTEST = """
    import re
    from pathlib import Path

    import pytest
    from dspex_core import BaseLM, LMOutput, LMResponse, Predict
    from pytest_dspex import program

    CALLS = Path(__file__).with_name("calls.txt")

    class EchoLM(BaseLM):
        def complete(self, request):
            word = re.findall(r"Say (\\w+)", request.messages[-1].content)[-1]
            with CALLS.open("a") as calls:
                calls.write(f"Say {word}\\n")
            if word == "broken":
                raise ValueError("the LM is broken")
            answer = "" if word == "silent" else f"[[ ## answer ## ]]\\n{word}"
            return LMResponse((LMOutput(answer, "stop"),), model=self.model)

    @pytest.fixture(scope="session")
    def lm():
        return EchoLM("test/echo", api_key="sk-secret-key")

    @program
    def qa():
        return Predict("question -> answer")
"""

TEST = """
    import pytest

    @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
    def test_qa(example, prediction):
        assert prediction.answer == example.answer
"""


@pytest.fixture(autouse=True, scope="session")
def _hypothesis_has_drawn():
    """Let Hypothesis make its generator before old objects are frozen: it warns if it finds nobody who holds it."""
    find(st.none(), lambda _: True, settings=settings(database=None))


@pytest.fixture(autouse=True, scope="module")
def _old_objects_aside(_hypothesis_has_drawn):
    """Leave what earlier tests have loaded out of garbage collections: pytest makes five at the end of each session."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _modules_as_they_are(monkeypatch):
    """Have Python compile a project's modules in each session: a test may change one twice in the same second."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")


@pytest.fixture(autouse=True)
def _not_on_ci(monkeypatch):
    """Have pytest write the same on CI as elsewhere, where it cuts its summary to a line for each test."""
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)


class Project:
    """The files of the project, and what its LM was asked."""

    def __init__(self, pytester):
        self.path = pytester.path
        self._pytester = pytester

    def conftest(self, source=CONFTEST, *, more=""):
        self._pytester.makeconftest(f"{textwrap.dedent(source)}\n{textwrap.dedent(more)}")

    def test(self, source=TEST, name="test_it"):
        self._pytester.makepyfile(**{name: source})

    def rows(self, *answers, name="data.jsonl"):
        """Write a dataset: a question that ends in each answer."""
        rows = [{"id": f"c-{answer}", "question": f"Say {answer}", "answer": answer} for answer in answers]
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    @property
    def calls(self):
        """The questions that the LM was asked, in the order in which it was."""
        path = self.path / "calls.txt"
        return path.read_text().splitlines() if path.exists() else []

    def forget_calls(self):
        (self.path / "calls.txt").unlink(missing_ok=True)

    def cassette(self, function="test_qa", module="test_it"):
        return self.path / "cassettes" / module / f"{function}.jsonl"

    def entries(self, function="test_qa", module="test_it"):
        return calls_in(self.cassette(function, module))


@pytest.fixture
def project(pytester):
    made = Project(pytester)
    made.conftest()
    return made


@pytest.fixture
def alone(pytester):
    return pytester.runpytest_inprocess


@pytest.fixture
def on_two_workers(pytester, monkeypatch):
    """Run a session on two workers, whose controller is this process: starting another one takes as long as they do."""
    for name in ("START", "CONFIG"):  # the same code is measured alone, in half of the time
        monkeypatch.delenv(f"COVERAGE_PROCESS_{name}", raising=False)
    # They take most of the time that workers need to start; the last comes with langchain-core.
    without = [f"-pno:{name}" for name in ("hypothesispytest", "anyio", "langsmith_plugin")]

    def run(*args, start=pytester.runpytest_inprocess):
        return start("-n", "2", *without, *args)

    return run


@pytest.fixture(params=["alone", "on_two_workers"])
def run(request):
    return request.getfixturevalue(request.param)
