"""What the plugin costs a pytest run that does not use it: CPU time with it and with `-p no:dspex`.

Both run one trivial test, in turns; user and system time of the whole process count, the median
of the runs is compared. Bytecode is kept in a directory of this script's own, so that each state
of it is the same for both:

    warm        all bytecode is cached
    ours cold   all but that of pytest_dspex and dspex_core, as in the first run of an editable install
    all cold    none at all, that of pytest and the standard library included
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGES = ("dspex_core", "pytest_dspex")
BARS = {"warm": 1.05, "ours cold": 1.10, "all cold": 1.10}
WITH, WITHOUT = (), ("-p", "no:dspex")


def cpu_seconds(arguments: tuple[str, ...], project: Path, bytecode: Path, *, write: bool) -> float:
    """Run pytest in a project and return the CPU time it took."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(bytecode)}
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


def measure(state: str, runs: int, project: Path) -> tuple[float, float]:
    """Return the median CPU seconds with and without the plugin."""
    with_plugin, without_plugin = [], []
    with tempfile.TemporaryDirectory() as bytecode:
        prepare(state, project, Path(bytecode))
        for _ in range(runs):
            with_plugin.append(cpu_seconds(WITH, project, Path(bytecode), write=False))
            without_plugin.append(cpu_seconds(WITHOUT, project, Path(bytecode), write=False))
    return statistics.median(with_plugin), statistics.median(without_plugin)


def main() -> None:
    from tabulate import tabulate

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="runs with and without the plugin, each")
    parser.add_argument("--state", choices=BARS, action="append", help="default: all of them")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as project:
        Path(project, "test_trivial.py").write_text("def test_trivial():\n    assert True\n")
        Path(project, "pytest.ini").write_text("[pytest]\n")
        for state in options.state or BARS:
            ours, plain = measure(state, options.runs, Path(project))
            ratio = ours / plain
            rows.append((state, ours, plain, ratio, BARS[state], "yes" if ratio <= BARS[state] else "no"))
    print(tabulate(rows, ("bytecode", "with, s", "without, s", "ratio", "bar", "met"), floatfmt=".3f"))


if __name__ == "__main__":
    main()
