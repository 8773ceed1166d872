"""How long a live session of 200 cases takes against a server of 200 ms, with and without a judge, beside the peers.

Each suite is a folder of its own with one test file, run by `python -m pytest` as a process of its own. A peer takes
part where it is installed in the environment whose Python is given: DeepEval (`--deepeval-python`), LangSmith's plugin
(`--langsmith-python`), each with the OpenAI SDK, whose calls their tests make. Their tests run one after the other, as
those plugins run them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

from server import running

CASES = 200
LATENCY = 0.2
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
PEER = """
    import os
    import openai
    import pytest

    CLIENT = openai.OpenAI(base_url=os.environ["BENCHMARK_SERVER"], api_key="none")

    def asked(text):
        reply = CLIENT.chat.completions.create(model="benchmark", messages=[{{"role": "user", "content": text}}])
        return reply.choices[0].message.content

    {marker}
    @pytest.mark.parametrize("number", range({cases}))
    def test_qa(number):
        text = asked(f"Question {{number}}?")
        {judge}
"""


def main() -> None:
    """Run the suites and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deepeval-python")
    parser.add_argument("--langsmith-python")
    parser.add_argument("--cases", type=int, default=CASES)
    arguments = parser.parse_args()
    with running(latency=LATENCY) as address:
        for judged, bar in ((False, 3.0), (True, 5.0)):
            metrics = ", metrics=[judge]" if judged else ""
            source = OURS.format(cases=arguments.cases, metrics=metrics)
            seconds = _timed(source, sys.executable, address, "--dspex-live")
            requests = arguments.cases * (2 if judged else 1)
            met = "met" if seconds <= bar else "NOT met"
            print(f"pytest-dspex, {requests} requests: {seconds:.1f} s (bar {bar:.0f} s: {met})")
            judge = 'assert "Paris" in asked("Is it right? " + text)' if judged else 'assert "Paris" in text'
            for name, python, marker in (
                ("DeepEval", arguments.deepeval_python, ""),
                ("LangSmith", arguments.langsmith_python, "@pytest.mark.langsmith"),
            ):
                if python:
                    source = PEER.format(cases=arguments.cases, marker=marker, judge=judge)
                    print(f"{name}, {requests} requests: {_timed(source, python, address):.1f} s")


def _timed(source: str, python: str, address: str, *options: str) -> float:
    environment = {
        **os.environ,
        "BENCHMARK_SERVER": address,
        "LANGSMITH_TEST_TRACKING": "false",  # the benchmark goes to no other server
        "DEEPEVAL_TELEMETRY_OPT_OUT": "YES",
    }
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_live.py").write_text(textwrap.dedent(source))
        command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, folder]
        started = time.perf_counter()
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"the suite failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return seconds


if __name__ == "__main__":
    main()
