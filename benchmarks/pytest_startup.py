"""What the plugin costs a pytest run that does not use it: CPU time with it and with `-p no:dspex`.

Both run one trivial test, in pairs; user and system time of the whole process count, and the
median of the pairs' ratios is compared, with its 95 % interval. On a slow machine there are fewer
pairs, so that all of it takes less than 100 seconds. Bytecode is kept in a directory of this script's own, so
that each state of it is the same for both:

    warm        all bytecode is cached
    ours cold   all but that of pytest_dspex and dspex_core, as in the first run of an editable install
    all cold    none at all, that of pytest and the standard library included

A full pass of Python's garbage collector takes about 2 % of such a run, and there are two or three
of them: a few objects more, from whatever source, can be those that make it three. So that this is
no matter of luck, each pair of runs has some objects of its own, of a number that differs from pair to pair.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import findings
import worker

PACKAGES = ("dspex_core", "pytest_dspex")
BARS = {"warm": 1.05, "ours cold": 1.10, "all cold": 1.10}
PAIRS = {"warm": 35, "ours cold": 13, "all cold": 5}  # so that all of it takes about a minute of CPU time
SHARE = {"warm": 0.5, "ours cold": 0.25, "all cold": 0.25}  # of the time that there is
FEWEST = 2  # pairs
WITH, WITHOUT = (), ("-p", "no:dspex")
PROJECT = {
    "pytest.ini": "[pytest]\n",
    "conftest.py": "import os\n\nOBJECTS = [[] for _ in range(int(os.environ['OBJECTS']))]\n",
    "test_trivial.py": "def test_trivial():\n    assert True\n",
}
FULL_CYCLE = 12_000  # after about so many new objects the garbage collector makes its next full pass


def cpu_seconds(
    arguments: tuple[str, ...], project: Path, bytecode: Path, *, write: bool = False, objects: int = 0
) -> float:
    """Run pytest in a project and return the CPU time it took."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(bytecode), "OBJECTS": str(objects)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if not write:
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *arguments],
        cwd=project,
        env=environment,
        check=True,
        capture_output=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def prepare(state: str, project: Path, bytecode: Path) -> None:
    """Bring the cached bytecode into a state."""
    shutil.rmtree(bytecode, ignore_errors=True)
    if state == "all cold":
        return
    for arguments in (WITH, WITHOUT):
        cpu_seconds(arguments, project, bytecode, write=True)
    if state == "ours cold":
        for package in PACKAGES:
            spec = importlib.util.find_spec(package)
            assert spec is not None
            for location in spec.submodule_search_locations or ():
                shutil.rmtree(bytecode / Path(location).relative_to("/"), ignore_errors=True)


def measure(state: str, pairs: int, project: Path, seconds: float) -> tuple[list[float], list[float]]:
    """Return the CPU seconds with and without the plugin, pair by pair; no more pairs begin after `seconds`."""
    end = time.monotonic() + seconds
    chance = random.Random(0)
    runs: dict[tuple[str, ...], list[float]] = {WITH: [], WITHOUT: []}
    with tempfile.TemporaryDirectory() as bytecode:
        prepare(state, project, Path(bytecode))
        for pair in range(pairs):
            if time.monotonic() > end and pair >= FEWEST:
                break
            objects = chance.randrange(FULL_CYCLE)
            for arguments in (WITH, WITHOUT) if pair % 2 else (WITHOUT, WITH):
                runs[arguments].append(cpu_seconds(arguments, project, Path(bytecode), objects=objects))
    return runs[WITH], runs[WITHOUT]


def main() -> None:
    from tabulate import tabulate

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, help="how often to run it with and without the plugin in each state")
    parser.add_argument("--seconds", type=float, default=90.0, help="after which no more pairs begin")
    parser.add_argument("--state", choices=BARS, action="append", help="default: all of them")
    findings.add_option(parser)
    options = parser.parse_args()
    rows, found = [], []
    with tempfile.TemporaryDirectory() as project:
        for name, text in PROJECT.items():
            Path(project, name).write_text(text)
        states = options.state or list(BARS)
        for state in states:
            seconds = options.seconds * SHARE[state] / sum(SHARE[each] for each in states)
            ours, plain = measure(state, options.pairs or PAIRS[state], Path(project), seconds)
            ratio, low, high = worker.ratio(ours, plain)
            met = "yes" if ratio <= BARS[state] else "no"
            figures = min(ours), min(plain), ratio, f"{low:.3f} to {high:.3f}", BARS[state], met
            rows.append((state, len(ours), *figures))
            figure = f"a session that does not use the plugin / without it, bytecode {state}"
            found.append(findings.Finding(figure, min(ours), "s", min(plain), ratio, f"{BARS[state]:g}", met))
    findings.write(found, options)
    heads = ("bytecode", "pairs", "with, s", "without, s", "ratio", "95 %", "bar", "met")
    print(tabulate(rows, heads, floatfmt=".3f"))


if __name__ == "__main__":
    main()
