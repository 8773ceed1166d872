"""How much more CPU time 1,000 replayed cases with a gate take than 1,000 plain tests with as many fixtures.

Each session is a process of its own, without workers and with this plugin only. A pair of sessions, one of each suite,
runs directly after another, so that both see the same machine. The least time of each suite counts. The fixtures of the
plain tests have neutral names: a test that uses `lm` is one of the plugin's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import findings

_CONFTEST = """
import re
import pytest
from dspex_core import BaseLM, LMOutput, LMResponse, Predict
from pytest_dspex import program

class EchoLM(BaseLM):
    def complete(self, request):
        word = re.findall(r"Say (\\w+)", request.messages[-1].content)[-1]
        return LMResponse((LMOutput(f"[[ ## answer ## ]]\\n{word}", "stop"),), model=self.model)

@pytest.fixture(scope="session")
def lm():
    return EchoLM("test/echo")

@program
def qa():
    return Predict("question -> answer")
"""
_REPLAYED = """
import pytest

@pytest.mark.dspex_gate("right", min=0.9)
@pytest.mark.dspex_data("data.jsonl", inputs=["question"])
def test_qa(example, prediction, score):
    score("right", prediction.answer == example.answer)
"""
_PLAIN = """
import pytest

@pytest.fixture(scope="session")
def model():
    return 1

@pytest.fixture(scope="session")
def pipeline(model):
    return 2

@pytest.fixture
def prepared(model):
    yield 3

@pytest.fixture
def predicted(request, pipeline, prepared, row):
    return row

@pytest.fixture
def noted(request):
    return lambda name, value: value

@pytest.mark.parametrize("row", range({cases}), ids=lambda number: f"c{{number}}")
def test_qa(row, predicted, noted):
    noted("right", predicted == row)
"""
_ALONE = ["-p", "pytest_dspex.plugin"]  # without the time of other plugins


def main() -> None:
    """Measure and print; exit with 1 if the ratio is above the bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5, help="how many pairs of sessions (default: %(default)s)")
    parser.add_argument("--bar", type=float, help="the highest ratio that is good")
    findings.add_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        replayed, plain = Path(folder, "replayed"), Path(folder, "plain")
        _write(replayed, plain, cases=arguments.cases)
        _session(replayed, "--dspex-record=new")
        _session(replayed), _session(plain)  # writes the compiled modules
        pairs = [(_session(replayed), _session(plain)) for _ in range(arguments.rounds)]
    dear, cheap = (min(times) for times in zip(*pairs, strict=True))
    print(f"{arguments.cases} replayed cases: {dear:.2f} s of CPU; as many plain tests: {cheap:.2f} s")
    print(f"ratio: {dear / cheap:.2f}; a case more: {(dear - cheap) / arguments.cases * 1000:.2f} ms")
    ratio, bar = dear / cheap, arguments.bar
    name = f"{arguments.cases} replayed cases with a gate / plain tests"
    bar_and_met = ("", "") if bar is None else (f"{bar:g}", findings.verdict(ratio <= bar))
    findings.write([findings.Finding(name, dear, "s", cheap, ratio, *bar_and_met)], arguments)
    if bar is not None and ratio > bar:
        sys.exit(1)


def _write(replayed: Path, plain: Path, *, cases: int) -> None:
    for folder in (replayed, plain):
        folder.mkdir()
    rows = [{"id": f"c{n}", "question": f"Say w{n}", "answer": f"w{n}"} for n in range(cases)]
    (replayed / "data.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (replayed / "conftest.py").write_text(_CONFTEST)
    (replayed / "test_it.py").write_text(_REPLAYED)
    (plain / "test_it.py").write_text(_PLAIN.format(cases=cases))


def _session(folder: Path, *options: str) -> float:
    """Run the suite in a folder and return the CPU seconds of its process."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPYCACHEPREFIX": str(folder.parent / "compiled")}
    command = [sys.executable, "-m", "pytest", *_ALONE, "-q", "-p", "no:cacheprovider", *options]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"the session failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
