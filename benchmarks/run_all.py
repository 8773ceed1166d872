"""Runs the benchmarks one after the other, prints one table, and writes it into docs/performance.md with its date.

    python benchmarks/run_all.py                                 all of them, on a machine that does nothing else
    python benchmarks/run_all.py --quick                         fewer rounds, below twelve minutes
    python benchmarks/run_all.py --only replay --only startup    some of them; prints only, unless --page is given

Peers are measured beside ours in the same run: vcrpy always, DSPy and DeepEval with the Python of an environment in
which they are installed (`--dspy-python`, `--deepeval-python`). The two may be one environment.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from findings import Finding, read
from tabulate import tabulate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER.parent / "docs" / "performance.md"
MEASURED = re.compile(r"(?<=<!-- measured -->\n).*(?=<!-- end of measured -->)", re.DOTALL)
HEADS = ("measured", "ours", "peer", "ratio", "bar", "met")
PACKAGES = ("pytest-dspex", "pytest", "litellm", "pydantic", "urllib3", "aiohttp", "vcrpy", "dspy")
QUICK_SECONDS = 11.5 * 60  # for all scripts together


@dataclass(frozen=True)
class Script:
    """A script, its arguments in a quick run, and which peer's Python it takes."""

    path: str
    quick: tuple[str, ...]
    peer: str = ""


SCRIPTS = {
    "startup": Script("pytest_startup.py", ("--seconds", "45")),
    "calls": Script("call_overhead.py", ("--rounds", "15", "--processes", "1"), "dspy"),
    "machinery": Script("machinery.py", ("--rounds", "3"), "dspy"),
    "evaluation": Script("evaluate_throughput.py", ("--rounds", "2"), "dspy"),
    "replay": Script("replay.py", ("--rounds", "2")),
    "http": Script("http_recorder.py", ("--vcrpy-up-to", "100")),
    "live": Script("live_cases.py", ("--cases", "40", "--runs", "1"), "deepeval"),
    "optimizers": Script("optimizers/overhead.py", ("--rounds", "1")),
    "serving": Script("serving.py", ("--requests", "400", "--timeout", "5")),
}


def main() -> None:
    """Run the scripts; exit with 1 if one of them fails. That a bar is missed is shown, and fails nothing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: below twelve minutes in all")
    parser.add_argument("--dspy-python", metavar="PATH", help="a Python in which DSPy is installed")
    parser.add_argument("--deepeval-python", metavar="PATH", help="a Python in which deepeval and openai are installed")
    parser.add_argument("--only", choices=SCRIPTS, action="append", help="default: all of them")
    parser.add_argument("--page", type=Path, metavar="FILE", help="default: docs/performance.md, if all are run")
    options = parser.parse_args()
    page = options.page or (None if options.only else PAGE)
    text = marked(page) if page is not None else ""
    about = "\n".join(f"- {line}" for line in machine(options))
    print(about, flush=True)
    end = time.monotonic() + QUICK_SECONDS if options.quick else None
    found = {name: list(findings_of(name, options, end)) for name in options.only or SCRIPTS}
    rows = [row(finding) for findings in found.values() for finding in findings]
    print(f"\n{tabulate(rows, HEADS, disable_numparse=True)}")
    if page is not None:
        page.write_text(filled(text, about, rows), encoding="utf-8")
        print(f"\nwritten to {page}")
    failed = [name for name, findings in found.items() if any(one.unit == "" for one in findings)]
    if failed:
        sys.exit(f"not finished: {', '.join(failed)}")


def findings_of(name: str, options: argparse.Namespace, end: float | None) -> Iterator[Finding]:
    """Run a script and yield what it found, and a line without figures if it did not finish in order."""
    script = SCRIPTS[name]
    python = getattr(options, f"{script.peer}_python", None)
    arguments = [f"--{script.peer}-python", python] if python else []
    print(f"\n{name}: {script.path}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "findings.jsonl")
        command = [sys.executable, str(FOLDER / script.path), "--findings", str(file), *arguments]
        fault = run([*command, *(script.quick if options.quick else ())], end)
        findings = read(file)
    yield from findings
    if fault and not (findings and fault == "exit status 1"):  # some scripts exit with 1 if they miss a bar
        print(f"{script.path}: {fault}", flush=True)
        yield Finding(f"{script.path} did not finish: {fault}", 0.0, "")


def run(command: list[str], end: float | None) -> str:
    """Run a command until the end at most, and return what went wrong, if anything."""
    left = None if end is None else end - time.monotonic()
    if left is not None and left <= 0:
        return "no time was left"
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            status = process.wait(left)
        except subprocess.TimeoutExpired:
            return "no time was left"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # its workers and servers, too
    return f"exit status {status}" if status else ""


def machine(options: argparse.Namespace) -> Iterator[str]:
    """Yield lines that say when, where and with which versions the run takes place."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    kind = "a quick run: fewer rounds and requests" if options.quick else "a full run"
    yield f"{dt.datetime.now(dt.UTC).date()}, {kind}"
    yield f"{cores} cores, {cpu_model()}, {platform.system()}; load {os.getloadavg()[0]:.1f} at the start"
    yield f"Python {platform.python_version()}, {', '.join(versions(PACKAGES))}"
    for package in ("dspy", "deepeval"):
        python = getattr(options, f"{package}_python")
        yield f"{package} as a peer: {version_in(python, package) if python else 'not measured, no Python was given'}"


def cpu_model() -> str:
    """Return the name of the processor."""
    information = Path("/proc/cpuinfo")
    text = information.read_text(encoding="utf-8") if information.exists() else ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1] if named else platform.processor() or platform.machine()


def versions(packages: Iterable[str]) -> Iterator[str]:
    """Yield the packages of this environment with their versions."""
    for package in packages:
        try:
            yield f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            yield f"{package} not installed"


def version_in(python: str, package: str) -> str:
    """Return the version of a package in another environment.

    Raises:
        SystemExit: The package is not installed there, or there is no such environment.
    """
    code = f"import platform, importlib.metadata as m; print(m.version({package!r}), 'on', platform.python_version())"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError as error:
        sys.exit(f"--{package}-python cannot be run: {error}")
    if done.returncode:
        sys.exit(f"{python} has no {package}: install it there, or leave --{package}-python out")
    return done.stdout.strip()


def row(finding: Finding) -> tuple[str, ...]:
    """Return a line of the table."""
    if not finding.unit:
        return finding.name, "", "", "", "", "no"
    shown = [f"{value:.4g} {finding.unit}" if value is not None else "" for value in (finding.ours, finding.peer)]
    return finding.name, *shown, "" if finding.ratio is None else f"{finding.ratio:.3f}", finding.bar, finding.met


def marked(page: Path) -> str:
    """Return the text of a page, which has marks for the table; a new page begins like that of the docs.

    Raises:
        SystemExit: The page has no marks, or cannot be read or written.
    """
    if not page.parent.is_dir():
        sys.exit(f"{page} cannot be written: there is no folder {page.parent}")
    try:
        text = (page if page.exists() else PAGE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"{page} cannot be read: {error}")
    if len(MEASURED.findall(text)) != 1:
        sys.exit(f"{page} lacks the lines '<!-- measured -->' and '<!-- end of measured -->', in this order")
    return text


def filled(text: str, about: str, rows: list[tuple[str, ...]]) -> str:
    """Return the text of a page with the run between its marks."""
    cells = [tuple(cell.replace("|", "\\|") for cell in line) for line in rows]
    table = tabulate(cells, HEADS, tablefmt="github", disable_numparse=True)
    return MEASURED.sub(lambda _: f"\n{about}\n\n{table}\n\n", text)


if __name__ == "__main__":
    main()
