"""How long a live session of 200 cases takes against a server of 200 ms, with and without a judge, beside the peers.

Each suite is a folder of its own with one test file, run as a process of its own. Two peers take part, each in the way
that its documentation shows and with the OpenAI SDK: DeepEval (`deepeval test run`, `assert_test` with a metric) and
LangSmith's plugin (`@pytest.mark.langsmith`, without its server). Both run their tests one after the other.

Our session loads this plugin only: what others add to it, such as the import of Hypothesis at its end, is theirs.

With `--environments FOLDER` each of the three has a virtual environment there, which is made if it is missing. With
`--deepeval-python PATH`, the Python of an environment with `deepeval` and `openai`, DeepEval is the only peer. Without
either only this plugin takes part, in the environment of this Python.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import textwrap
import time
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import findings
from server import running

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = 200
LATENCY = 0.2
BARS = {False: 3.0, True: 5.0}  # seconds for all cases, without and with a judge
OURS = """
    import os
    import pytest
    from dspex_core import LM, Predict
    from pytest_dspex import program

    ROWS = [{{"question": f"Question {{number}}?", "answer": "Paris"}} for number in range({cases})]

    @pytest.fixture(scope="session")
    def lm():
        return LM("openai/benchmark", api_base=os.environ["BENCHMARK_SERVER"], api_key="none", temperature=0.0)

    @program
    def qa():
        return Predict("question -> answer")

    def judge(example, prediction, trace=None):
        verdict = Predict("question, given -> answer")(question=example.question, given=prediction.answer)
        return verdict.answer == "Paris"

    @pytest.mark.dspex_data(ROWS, inputs=["question"]{metrics})
    def test_qa(example, prediction):
        assert prediction.answer == example.answer
"""
ASK = """
    import os
    import openai
    import pytest

    CLIENT = openai.OpenAI(base_url=os.environ["BENCHMARK_SERVER"], api_key="none")

    def asked(text):
        reply = CLIENT.chat.completions.create(model="benchmark", messages=[{{"role": "user", "content": text}}])
        return reply.choices[0].message.content

    def is_right(answer):
        return "Paris" in ({judge})
"""
DEEPEVAL = """
    from deepeval import assert_test
    from deepeval.metrics import BaseMetric
    from deepeval.test_case import LLMTestCase

    class Right(BaseMetric):
        threshold = 0.5

        def measure(self, test_case, *args, **kwargs):
            self.score = float(is_right(test_case.actual_output))
            self.success = self.score >= self.threshold
            self.reason = ""
            return self.score

        async def a_measure(self, test_case, *args, **kwargs):
            return self.measure(test_case)

        def is_successful(self):
            return self.success

        @property
        def __name__(self):
            return "Right"

    @pytest.mark.parametrize("number", range({cases}))
    def test_qa(number):
        question = f"Question {{number}}?"
        assert_test(LLMTestCase(input=question, actual_output=asked(question)), [Right()])
"""
LANGSMITH = """
    from langsmith import testing

    @pytest.mark.langsmith
    @pytest.mark.parametrize("number", range({cases}))
    def test_qa(number):
        question = f"Question {{number}}?"
        testing.log_inputs({{"question": question}})
        answer = asked(question)
        testing.log_outputs({{"answer": answer}})
        right = is_right(answer)
        testing.log_feedback(key="right", score=right)
        assert right
"""
JUDGES = {False: "answer", True: 'asked("Is it right? " + answer)'}
PROJECT = Path(__file__).parents[1]
PACKAGES = {
    "pytest-dspex": ["-e", str(PROJECT)],
    "DeepEval": ["deepeval", "openai"],
    "LangSmith": ["langsmith[pytest]", "openai"],
}
PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]


@dataclass(frozen=True)
class Suite:
    """The suite of one plugin, how it is run, and for ours how many seconds it may take."""

    name: str
    source: str
    command: list[str]
    bar: float | None = None
    is_alone: bool = False  # without other plugins of its environment

    def seconds(self, address: str) -> float:
        """Run it once."""
        environment = {
            **os.environ,
            "BENCHMARK_SERVER": address,
            # The benchmark goes to no other server.
            "LANGSMITH_TEST_TRACKING": "false",
            "DEEPEVAL_TELEMETRY_OPT_OUT": "YES",
            "DEEPEVAL_UPDATE_WARNING_OPT_IN": "0",
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        if self.is_alone:
            environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "test_live.py").write_text(self.source)
            started = time.perf_counter()
            command = [*self.command, "test_live.py"]
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            seconds = time.perf_counter() - started
        if done.returncode:
            sys.exit(f"the suite of {self.name} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return seconds


def main() -> None:
    """Run the suites and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=Path, metavar="FOLDER")
    parser.add_argument("--deepeval-python", type=Path, metavar="PATH")
    findings.add_option(parser)
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--runs", type=int, default=3, help="how often each suite runs; the fastest counts")
    arguments = parser.parse_args()
    with running(latency=LATENCY) as address:
        for judged in (False, True):
            taken: dict[str, float] = {}
            for suite in _suites(arguments, judged=judged):
                runs = 1 if suite.bar is None else arguments.runs  # the peers take long, whatever the machine does
                seconds = min(suite.seconds(address) for _ in range(runs))
                taken[suite.name] = seconds
                met = "met" if suite.bar is not None and seconds <= suite.bar else "NOT met"
                bar = "" if suite.bar is None else f" (bar {suite.bar:.0f} s: {met})"
                print(f"{suite.name}, {arguments.cases * (1 + judged)} requests: {seconds:.1f} s{bar}", flush=True)
            findings.write([_finding(taken, judged=judged, cases=arguments.cases)], arguments)


def _finding(taken: dict[str, float], *, judged: bool, cases: int) -> findings.Finding:
    """Return our seconds beside DeepEval's; the bars are for the full number of cases."""
    ours, peer = taken["pytest-dspex"], taken.get("DeepEval")
    bar = BARS[judged] if cases == CASES else None
    name = f"{cases} live cases{' with a judge' if judged else ''} / DeepEval"
    bar_and_met = ("", "") if bar is None else (f"{bar:g} s", findings.verdict(ours <= bar))
    return findings.Finding(name, ours, "s", peer, None if peer is None else ours / peer, *bar_and_met)


def _suites(arguments: argparse.Namespace, *, judged: bool) -> Iterator[Suite]:
    folder, cases = arguments.environments, arguments.cases
    python = sys.executable if folder is None else _python(folder, "pytest-dspex")
    ours = _written(OURS, cases=cases, metrics=", metrics=[judge]" if judged else "")
    command = [python, *PYTEST, "-p", "pytest_dspex.plugin", "--dspex-live"]
    yield Suite("pytest-dspex", ours, command, bar=BARS[judged], is_alone=True)
    peer = arguments.deepeval_python or (folder and Path(_python(folder, "DeepEval")))
    if peer is None:
        return
    asks, deepeval = _written(ASK, judge=JUDGES[judged]), peer.absolute().with_name("deepeval")
    yield Suite("DeepEval", asks + _written(DEEPEVAL, cases=cases), [str(deepeval), "test", "run"])
    if folder is None:
        return
    yield Suite("LangSmith", asks + _written(LANGSMITH, cases=cases), [_python(folder, "LangSmith"), *PYTEST])


def _written(source: str, **values: object) -> str:
    return textwrap.dedent(source).format(**values)


def _python(folder: Path, name: str) -> str:
    """Return the Python of an environment, which is made if it is missing."""
    home = folder.resolve() / name.lower()
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES[name]], check=True)
    return str(python)


if __name__ == "__main__":
    main()
