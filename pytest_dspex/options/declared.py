"""The plugin's command-line options, ini keys and markers, as pytest lists them. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

DEFAULT_LM = "local/smollm2-135m-instruct"

MARKERS = (
    (
        "dspex_data(dataset, inputs=[...], program=..., where=..., sample=..., metrics=[...]): run the test once for "
        "each row of a dataset (a path, rows, a DataFrame, a function, ...); "
        "the fixture `example` is the row, and `prediction` is the program's output for its inputs"
    ),
    (
        "dspex_gate(score, min=..., max=..., max_drop=..., confidence=..., by=..., where=...): after the test's last "
        "case, fail unless the mean of this score keeps to the bound; docs/gates.md has all arguments"
    ),
    (
        'dspex_repeat(n, require="k/n" | pass_at=k | pass_pow=k, min=...): run each case n times; with a rule, cases '
        "are judged after the last one, and an attempt that fails does not fail the run by itself"
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Declare the command-line options and ini keys."""
    group = parser.getgroup("dspex", "language-model tests")
    group.addoption("--dspex-live", action="store_true", help="call the LM; use no cassettes")
    _add_cassette_options(group)
    _add_optimize_options(group)
    group.addoption(
        "--dspex-artifacts",
        choices=("use", "ignore"),
        default="use",
        help="use: programs load their compiled artifacts (default); ignore: they stay as they are built",
    )
    _add_partial_options(group)
    group.addoption(
        "--dspex-init",
        action="store_true",
        help="run no test; write a small suite that passes into the current directory, which must not have its files",
    )
    group.addoption(
        "--dspex-repeat",
        type=int,
        metavar="N",
        help="run each case of the tests that use an LM N times, in place of the N of their dspex_repeat markers",
    )
    group.addoption(
        "--dspex-executor",
        default="",
        metavar="dask://HOST:PORT",
        help="run programs, evaluations and --dspex-optimize in the workers of a Dask cluster",
    )
    _add_gate_options(parser, group)
    _add_report_options(group)
    _add_ini_keys(parser)


def _add_partial_options(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--dspex-partial",
        metavar="PATH",
        help="write this session's results to a file (*.json) or into a directory, for --dspex-merge",
    )
    group.addoption(
        "--dspex-merge",
        action="append",
        metavar="PATH",
        help="run no test; decide the gates over the results in a file or a directory that --dspex-partial has "
        "written; may be repeated",
    )


def _add_report_options(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--dspex-report",
        action="append",
        metavar="KIND:PATH,...",
        help="write reports, as in html:report.html,json:report.json,md:report.md; may be repeated",
    )
    group.addoption(
        "--dspex-show", action="store_true", help="print the prompt and the raw reply of each LM call of the cases"
    )
    group.addoption(
        "--dspex-rejudge",
        metavar="PATH",
        help="score the outputs in a report that --dspex-report=json:PATH has written, without running the programs",
    )


def _add_gate_options(parser: pytest.Parser, group: pytest.OptionGroup) -> None:
    group.addoption(
        "--dspex-gate",
        action="append",
        metavar="GATE",
        help="a gate for each test that records the score, such as 'accuracy >= 0.85'; may be repeated",
    )
    group.addoption(
        "--dspex-update-baseline",
        action="store_true",
        help="write the scores of all tests that ran completely to baselines/ beside them",
    )
    for name, meaning in (("inconclusive", "inconclusive"), ("not-evaluated", "not evaluated")):
        group.addoption(
            f"--dspex-{name}",
            choices=("pass", "fail"),
            help=f"what a gate that is {meaning} does to the exit status (ini: dspex_{name.replace('-', '_')})",
        )
    group.addoption(
        "--dspex-no-calls",
        choices=("pass", "fail"),
        help="what a passed test does that uses a program and made no LM call (ini: dspex_no_calls)",
    )
    parser.addini(
        "dspex_no_calls",
        "`pass` (default) or `fail`: what a passed test does that uses a program and made no LM call; `pass` names it",
        default="",
    )
    parser.addini("dspex_gates", "gates for each test that records the score, a line each", type="linelist", default=[])
    parser.addini("dspex_inconclusive", "`pass` (default) or `fail`: what an inconclusive gate does", default="")
    parser.addini(
        "dspex_not_evaluated",
        "`pass` or `fail`: what a gate that is not evaluated does (default: `fail` if the variable CI is set)",
        default="",
    )


def _add_ini_keys(parser: pytest.Parser) -> None:
    parser.addini("dspex_lm", f"the model of the fixture `lm` (default: {DEFAULT_LM})", default=DEFAULT_LM)
    parser.addini("dspex_dspy_alias", "let `import dspy` give dspex_core in this session", type="bool", default=False)
    parser.addini("dspex_judge_lm", "the model of the fixture `judge_lm` (default: the fixture `lm`)", default="")
    parser.addini(
        "dspex_lm_hosts",
        "servers whose HTTP requests are recorded beside the known ones: host or host:port; !host for one that is not",
        type="args",
        default=[],
    )
    parser.addini(
        "dspex_report",
        "reports to write, each as KIND:PATH relative to the root directory",
        type="linelist",
        default=[],
    )
    parser.addini("dspex_max_age", "the days after which a recorded reply is old, with a warning", default="")
    parser.addini(
        "dspex_redact",
        "regular expressions, a line each: what they match is hidden in cassettes and reports, beside credentials",
        type="linelist",
        default=[],
    )
    parser.addini("dspex_concurrency", "how many predictions run at once (default: 32)", default="32")


def _add_cassette_options(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--dspex-prune",
        action="store_true",
        help="after a run of all tests that passed, remove the recorded calls and cassettes that no test uses",
    )
    group.addoption(
        "--dspex-record",
        choices=("none", "new", "all"),
        default="none",
        help="none: replay cassettes only (default); new: call the LM for requests that are not recorded yet, and "
        "record them; all: record every call anew",
    )


def _add_optimize_options(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--dspex-optimize",
        nargs="?",
        const="",
        metavar="NAME",
        help="before the tests, recompile the programs that they use, or only NAME; keep a program that scores "
        "better, fail if it scores worse beyond chance",
    )
    group.addoption(
        "--dspex-optimize-check",
        action="store_true",
        help="as --dspex-optimize, of all programs unless one is named, but write nothing",
    )
    group.addoption(
        "--dspex-plan",
        action="store_true",
        help="show how many calls, tokens and dollars --dspex-optimize would take at most, and run nothing",
    )
    group.addoption("--dspex-max-calls", type=int, metavar="N", help="the most LM calls that --dspex-optimize may make")
    group.addoption(
        "--dspex-max-usd", type=float, metavar="DOLLARS", help="the most that --dspex-optimize may spend on LM calls"
    )
