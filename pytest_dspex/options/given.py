"""The options of a session, read once into a frozen value. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import pytest

from pytest_dspex.options.declared import MARKERS

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """The options of this session.

    Args:
        live: Whether to call the LM and use no cassettes (`--dspex-live`).
        record: Which calls go to the LM and are recorded (`--dspex-record`).
        optimize: The program to recompile (`--dspex-optimize`); `""` for all of them, `None` for no program.
        lm: The model of the fixture `lm` (ini `dspex_lm`).
        judge_lm: The model of the fixture `judge_lm` (ini `dspex_judge_lm`); empty for that of `lm`.
        concurrency: How many predictions run at once (ini `dspex_concurrency`).
        partial: Where to write the results for `--dspex-merge` (`--dspex-partial`).
        artifacts: Whether programs load their compiled artifacts (`--dspex-artifacts`).
        optimize_check: Whether a recompiled program is only compared, and not stored (`--dspex-optimize-check`).
        plan: Whether to show what recompiling may ask at most, and to stop (`--dspex-plan`).
        max_calls: How many LM calls recompiling may make (`--dspex-max-calls`).
        max_usd: How many dollars recompiling may cost (`--dspex-max-usd`).
        repeat: How often each case of a test that uses an LM runs (`--dspex-repeat`).
        redact: What to hide in cassettes and reports, beside credentials (ini `dspex_redact`).
        prune: Whether to remove recorded calls that no test uses (`--dspex-prune`).
        max_age: The days after which recorded replies are old (ini `dspex_max_age`).
        executor: Where programs run instead of in this process (`--dspex-executor`); empty for nowhere else.
    """

    live: bool
    record: Literal["none", "new", "all"]
    optimize: str | None
    lm: str
    concurrency: int
    partial: Path | None = None
    artifacts: Literal["use", "ignore"] = "use"
    optimize_check: bool = False
    plan: bool = False
    max_calls: int | None = None
    max_usd: float | None = None
    repeat: int | None = None
    judge_lm: str = ""
    redact: tuple[re.Pattern[str], ...] = ()
    prune: bool = False
    max_age: int | None = None
    executor: str = ""

    @property
    def asks(self) -> bool:
        """Whether this session may call an LM at all."""
        return self.live or self.record != "none"


OPTIONS = pytest.StashKey[Options]()


def configure(config: pytest.Config) -> None:
    """Register the markers and read the options.

    Raises:
        pytest.UsageError: Two options contradict each other, or a value is not valid.
    """
    _refuse_unknown_keys(config)
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    config.stash[OPTIONS] = Options(
        live=config.getoption("dspex_live") and not config.getoption("dspex_plan"),
        record=config.getoption("dspex_record") if not config.getoption("dspex_plan") else "none",
        optimize=_programs_to_optimize(config),
        lm=config.getini("dspex_lm"),
        redact=tuple(map(_pattern, config.getini("dspex_redact"))),
        prune=config.getoption("dspex_prune"),
        max_age=_days(config.getini("dspex_max_age")),
        concurrency=_positive(config.getini("dspex_concurrency")),
        partial=config.invocation_params.dir / partial if (partial := config.getoption("dspex_partial")) else None,
        artifacts=config.getoption("dspex_artifacts"),
        optimize_check=config.getoption("dspex_optimize_check"),
        plan=config.getoption("dspex_plan"),
        max_calls=_limit(config, "max-calls"),
        max_usd=_limit(config, "max-usd"),
        repeat=config.getoption("dspex_repeat"),
        judge_lm=config.getini("dspex_judge_lm"),
        executor=_executor(config.getoption("dspex_executor")),
    )
    options = config.stash[OPTIONS]
    if options.repeat is not None and options.repeat < 1:
        raise pytest.UsageError(f"--dspex-repeat={options.repeat} is not a positive number of attempts; set it to 5")
    if options.live and options.record != "none":
        raise pytest.UsageError(
            f"--dspex-live uses no cassettes, and --dspex-record={options.record} writes them: use only one of them"
        )
    if options.optimize is None and (options.max_calls is not None or options.max_usd is not None):
        raise pytest.UsageError("--dspex-max-calls and --dspex-max-usd limit --dspex-optimize: add it, or remove them")


def _refuse_unknown_keys(config: pytest.Config) -> None:
    """Refuse an ini key that looks like the plugin's: pytest only warns, and a misspelled gate would be none.

    Raises:
        pytest.UsageError: No plugin has declared the key.
    """
    settings = vars(config)
    of_file = settings.get("_inicfg") or settings.get("inicfg") or ()  # the public name warns since pytest 9
    of_flags = [given.partition("=")[0] for given in config.getoption("override_ini") or ()]  # apart before pytest 9
    for key in (*of_file, *of_flags):
        if key.startswith("dspex_"):
            try:
                config.getini(key)
            except ValueError:
                message = f"{key!r} in the configuration is not an ini key of pytest-dspex; `pytest --help` lists them"
                raise pytest.UsageError(message) from None


def keep_paths(config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Let `--dspex-optimize tests/` run `tests/`: a program's name is only what stands behind `=`.

    argparse takes the next argument as the value of an option that may have one.
    """
    end = args.index("--") if "--" in args else len(args)
    places = [place for place, arg in enumerate(args[:end]) if arg == "--dspex-optimize"]
    if not places:
        return
    for place in places:
        args[place] = "--dspex-optimize="
    before = config.known_args_namespace
    config.known_args_namespace = parser.parse_known_args(args, namespace=copy.copy(config.option))
    config.known_args_namespace.confcutdir = before.confcutdir


def _programs_to_optimize(config: pytest.Config) -> str | None:
    """Return the name of the program to recompile, `""` for all, or `None`."""
    named: str | None = config.getoption("dspex_optimize")
    wanted = config.getoption("dspex_optimize_check") or config.getoption("dspex_plan")
    return "" if named is None and wanted else named


def _executor(address: str) -> str:
    if address and not re.fullmatch(r"dask://[^/\s]+:\d+", address):
        raise pytest.UsageError(f"--dspex-executor is {address!r}; give the scheduler of a cluster as dask://HOST:PORT")
    if address and find_spec("distributed") is None:  # once, and not as an error of each test
        raise pytest.UsageError(f"--dspex-executor={address} needs Dask: pip install 'pytest-dspex[distributed]'")
    return address


def _limit(config: pytest.Config, name: str) -> Any:
    limit = config.getoption(f"dspex_{name.replace('-', '_')}")
    if limit is not None and not 0 <= limit < float("inf"):
        raise pytest.UsageError(f"--dspex-{name} is {limit!r}; give a number that is not negative")
    return limit


def has_gates(config: pytest.Config) -> bool:
    """Return whether an option or ini key is about gates, so that a session needs to know of them at its start."""
    options = ("dspex_gate", "dspex_update_baseline", "dspex_inconclusive", "dspex_not_evaluated", "dspex_no_calls")
    keys = ("dspex_gates", "dspex_inconclusive", "dspex_not_evaluated", "dspex_no_calls")
    return any(map(config.getoption, options)) or any(map(config.getini, keys))


def is_worker(config: pytest.Config) -> bool:
    """Return whether this process is a pytest-xdist worker."""
    return hasattr(config, "workerinput")


def _days(text: str) -> int | None:
    if text and not text.isdecimal():
        raise pytest.UsageError(
            f"the ini key dspex_max_age is {text!r}, not a number of days; set it to 90, for example"
        )
    return int(text) if text else None


def _pattern(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise pytest.UsageError(
            f"the ini key dspex_redact has {text!r}, which is not a regular expression ({error}); correct the line"
        ) from error
    if pattern.search(""):
        raise pytest.UsageError(
            f"the ini key dspex_redact has {text!r}, which matches the empty text and so would hide everything; "
            "have it match at least one character"
        )
    return pattern


def wants_dspy_alias(config: pytest.Config) -> bool:
    """Return what the ini key `dspex_dspy_alias` says.

    Raises:
        pytest.UsageError: It is not a truth value.
    """
    try:
        return bool(config.getini("dspex_dspy_alias"))
    except ValueError as error:  # pytest's own message does not name the key
        raise pytest.UsageError(f"the ini key dspex_dspy_alias: {error}; set it to true or false") from error


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise pytest.UsageError(
            f"the ini key dspex_concurrency is {text!r}, not a positive whole number; set it to 8, for example"
        )
    return int(text)
