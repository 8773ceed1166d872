"""Which suites a live run of the whole folder asks the model: those of the README's first command.

All together take too long for a first look. A live run leaves the others out, unless they are named, and says so; a
replay leaves out none.
"""

from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).parent
LIVE = frozenset({"extract_contact", "handbook_rag", "review_sentiment", "support_agent", "support_intents"})


NEEDS = {"dspy_program": "dspy"}  # a library that the README's first command does not install


def lacking():
    """Return the suites whose library is not installed."""
    return [FOLDER / name for name, library in NEEDS.items() if find_spec(library) is None]


def left_out(config):
    """Return the suites in the folders on the command line that this session does not run."""
    if not config.getoption("dspex_live"):
        return []
    named = [Path(config.invocation_params.dir, argument.partition("::")[0]).resolve() for argument in config.args]
    others = sorted(path.parent for path in FOLDER.glob("*/conftest.py") if path.parent.name not in LIVE)
    return [
        suite
        for suite in others
        if any(path in suite.parents for path in named)
        and not any(path == suite or suite in path.parents for path in named)
    ]


def notice(config):
    lines = [f"left out: {suite.name}, which needs {NEEDS[suite.name]}, which is not installed" for suite in lacking()]
    names = ", ".join(suite.name for suite in left_out(config) if suite not in lacking())
    if not names:
        return lines
    how = "pytest example_suites/NAME --dspex-live; or all: pytest example_suites/*/ --dspex-live"
    return [*lines, f"left out of this live run: {names}", f"run one with: {how}"]


def pytest_ignore_collect(collection_path, config):
    return True if collection_path in [*lacking(), *left_out(config)] else None


def pytest_report_header(config):
    return notice(config)


def pytest_terminal_summary(terminalreporter, config):
    lines = notice(config)  # again: a green end must not hide it
    if lines:
        terminalreporter.section("suites left out")
        for line in lines:
            terminalreporter.write_line(line)
