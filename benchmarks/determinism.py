"""Whether sessions of one suite leave the same behind: alone and on two workers, in order and shuffled.

A suite with all kinds of LM calls (`tests/support/whole_suite.py`) is recorded, replayed and run live, again and again,
against a loopback server whose replies arrive in any order. Exit status, JSON report (verdicts, scores, cases, calls)
and cassettes of each session are compared with those of the first, byte by byte but for dates and durations.

What a recording or live session gets depends on the requests alone: otherwise the model itself would answer other calls
otherwise when they arrive in another order. What is replayed was recorded from a model that numbers its answers: there
a call that gets the reply of another one shows.
"""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from openai_server import OpenAIServer
from whole_suite import Model, left_behind, write_suite

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODES = {"record": ["--dspex-record=new"], "replay": [], "live": ["--dspex-live"]}


def main() -> None:
    """Run the sessions; exit with 1 if any differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="how many sessions of each kind (default: %(default)s)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=float("inf"),
        help="begin no session after so many; how many were compared is shown",
    )
    parser.add_argument("--modes", nargs="+", choices=_MODES, default=list(_MODES))
    arguments = parser.parse_args()
    model, end = Model(), time.monotonic() + arguments.seconds
    with tempfile.TemporaryDirectory() as folder, OpenAIServer(script=model) as server:
        different = [
            f"{mode}, {kind}"
            for mode in arguments.modes
            for kind in _different(Path(folder), mode, arguments.runs, server=server, model=model, end=end)
        ]
    sys.exit(f"{len(different)} sessions differ" if different else 0)


def _different(folder: Path, mode: str, runs: int, *, server: OpenAIServer, model: Model, end: float) -> list[str]:
    """Return the sessions of a mode that differ from its first; of a busy machine, those until `end`."""
    recorded, where, different, compared = folder / "recorded", folder / mode, [], 0
    if mode == "replay":
        model.number_samples(numbers=True)
        _session(recorded, "record", server, workers=0, order=None)
        server.requests.clear()
    model.number_samples(numbers=False)
    first: dict[str, str] | None = None
    for kind, workers, order in _kinds(runs):
        if time.monotonic() > end:
            break
        if mode == "replay":
            shutil.copytree(recorded, where)
        found = _session(where, mode, server, workers=workers, order=order)
        shutil.rmtree(where)
        first = first or found
        compared += 1
        if found != first:
            different.append(kind)
            print(f"{mode}, {kind}: DIFFERENT\n{_difference(first, found)}", flush=True)
    if mode == "replay" and server.requests:
        different.append(f"{len(server.requests)} requests were sent")
    print(f"{mode}: {compared} of {3 * runs} sessions, {len(different)} different", flush=True)
    if compared < min(3, 3 * runs):
        different.append(f"{mode}: there was no time to compare")
    return different


def _kinds(runs: int) -> Iterator[tuple[str, int, int | None]]:
    for run in range(runs):
        yield f"run {run} alone", 0, None
        yield f"run {run} on two workers", 2, None
        yield f"run {run} shuffled{' on two workers' if run % 2 else ''}", 2 * (run % 2), run


def _session(folder: Path, mode: str, server: OpenAIServer, *, workers: int, order: int | None) -> dict[str, str]:
    """Run a session in the folder and return what it left behind, its exit status included."""
    folder.mkdir(exist_ok=True)
    write_suite(folder)
    report = folder / "report.json"
    # Only this plugin and xdist: what others add to a session is theirs.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "SUITE_SERVER": server.base_url}
    if order is not None:
        environment["SUITE_ORDER"] = str(order)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "pytest_dspex.plugin"]
    command += ["-p", "xdist", "-n", str(workers), f"--dspex-report=json:{report}", *_MODES[mode], str(folder)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if not report.exists():
        sys.exit(f"the session failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return {"exit status": str(done.returncode), **left_behind(folder, report, asks=mode != "replay")}


def _difference(first: dict[str, str], found: dict[str, str]) -> str:
    lines: list[str] = []
    for name in dict.fromkeys([*first, *found]):
        was, now = (each.get(name, "").splitlines() for each in (first, found))
        lines += list(difflib.unified_diff(was, now, name, name, n=1, lineterm=""))[:12]
    return "\n".join(line[:160] for line in lines[:60])


if __name__ == "__main__":
    main()
