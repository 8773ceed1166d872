"""The plugin's flags, ini keys and markers, read once into a frozen value. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_LM = "local/smollm2-135m-instruct"

MARKERS = (
    (
        "dspex_data(path, inputs=[...], program=None): run the test once for each row of a dataset; "
        "`example` is the row and `prediction` what the program makes of its inputs"
    ),
    "dspex_gate(score, min=...): after the last case, fail unless the mean of that score is at least `min`",
)


@dataclass(frozen=True, slots=True)
class Options:
    """How this session runs.

    Args:
        live: Ask the LM and use no cassettes (`--dspex-live`).
        record: Which requests are asked and recorded (`--dspex-record`).
        optimize: Which program to recompile; `""` is all, `None` is none (`--dspex-optimize`).
        lm: The model of the fixture `lm` (ini `dspex_lm`).
        concurrency: How many predictions run at once (ini `dspex_concurrency`).
        partial: Where to write what was measured, for another session to merge (`--dspex-partial`).
    """

    live: bool
    record: Literal["none", "new", "all"]
    optimize: str | None
    lm: str
    concurrency: int
    partial: Path | None = None

    @property
    def asks(self) -> bool:
        """Whether this session may ask an LM at all."""
        return self.live or self.record != "none"


OPTIONS = pytest.StashKey[Options]()


def add_options(parser: pytest.Parser) -> None:
    """Declare the flags and ini keys."""
    group = parser.getgroup("dspex", "language-model tests")
    group.addoption("--dspex-live", action="store_true", help="ask the LM; use no cassettes")
    group.addoption(
        "--dspex-record",
        choices=("none", "new", "all"),
        default="none",
        help="none: replay cassettes only (default); new: ask the LM for what is not recorded yet; "
        "all: record everything anew",
    )
    group.addoption(
        "--dspex-optimize",
        nargs="?",
        const="",
        metavar="NAME",
        help="recompile the programs that the collected tests use (or the one named) before the tests; "
        "fail if accuracy regresses",
    )
    group.addoption(
        "--dspex-partial",
        metavar="PATH",
        help="write what this session measured to a file (*.json) or into a directory, for --dspex-merge",
    )
    group.addoption(
        "--dspex-merge",
        action="append",
        metavar="PATH",
        help="run no test; decide the gates over the results that sessions with --dspex-partial have written to a "
        "file or into a directory",
    )
    parser.addini("dspex_lm", f"model of the fixture `lm` (default: {DEFAULT_LM})", default=DEFAULT_LM)
    parser.addini("dspex_concurrency", "how many predictions run at once (default: 8)", default="8")


def configure(config: pytest.Config) -> None:
    """Register the markers and read the options.

    Raises:
        pytest.UsageError: They contradict each other.
    """
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    config.stash[OPTIONS] = Options(
        live=config.getoption("dspex_live"),
        record=config.getoption("dspex_record"),
        optimize=config.getoption("dspex_optimize"),
        lm=config.getini("dspex_lm"),
        concurrency=_positive(config.getini("dspex_concurrency")),
        partial=config.invocation_params.dir / partial if (partial := config.getoption("dspex_partial")) else None,
    )
    options = config.stash[OPTIONS]
    if options.live and options.record != "none":
        raise pytest.UsageError("--dspex-live uses no cassettes and --dspex-record writes them: choose one")
    if options.optimize is not None and config.getoption("dist", "no") != "no":
        raise pytest.UsageError("--dspex-optimize recompiles before the tests, in one process: run it with -n 0")


def is_worker(config: pytest.Config) -> bool:
    """Tell whether this process is a pytest-xdist worker."""
    return hasattr(config, "workerinput")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise pytest.UsageError(f"dspex_concurrency must be a whole number from 1, not {text!r}")
    return int(text)
