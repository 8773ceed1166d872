"""The gates and the policy of a session: flags and ini keys. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pytest_dspex.gates.grammar import Gate, gate_from_text

if TYPE_CHECKING:
    from pytest_dspex.gates.verdicts import Verdict

_NOT_CI = ("", "0", "false", "no", "off")
FLAG = "--dspex-gate"
POLICIES = ("pass", "fail")


@dataclass(frozen=True, slots=True)
class GateSettings:
    """The gates that are not markers of a test, and which verdicts fail the session beside "failed".

    Args:
        gates: The gates of the ini file and of the command line.
        fails_inconclusive: Whether an inconclusive gate fails the session.
        fails_not_evaluated: Whether a gate that is not evaluated fails it.
        fails_no_calls: Whether a test that names a program and made no LM call fails it.
        updates: Whether this session writes the baselines anew.
    """

    gates: tuple[Gate, ...]
    fails_inconclusive: bool
    fails_not_evaluated: bool
    fails_no_calls: bool
    updates: bool

    def is_red(self, verdict: Verdict) -> bool:
        """Return whether a verdict fails the session."""
        if verdict.status == "inconclusive":
            return self.fails_inconclusive
        if verdict.status == "not evaluated":
            return self.fails_not_evaluated and not (self.updates and verdict.gate.is_paired)
        is_written_anew = self.updates and verdict.gate.is_paired and verdict.drop is None  # a damaged baseline
        return verdict.status == "failed" and not is_written_anew


_SETTINGS = pytest.StashKey[GateSettings]()


def gate_settings(config: pytest.Config) -> GateSettings:
    """Return the settings of a session.

    Raises:
        ConfigurationError: A gate or a policy is not valid.
    """
    if _SETTINGS not in config.stash:
        config.stash[_SETTINGS] = _read(config)
    return config.stash[_SETTINGS]


def check_settings(config: pytest.Config) -> None:
    """Read the settings at once, so that a mistake ends the session before its first test.

    Raises:
        pytest.UsageError: A gate or a policy is not valid.
    """
    from dspex_core import DSPexError  # imported only in sessions with gates of their own

    try:
        gate_settings(config)
    except DSPexError as error:
        raise pytest.UsageError(str(error)) from error


def session_gates(config: pytest.Config, nodeid: str) -> tuple[Gate, ...]:
    """Return the gates of flags and ini keys that are about a test."""
    return tuple(gate for gate in gate_settings(config).gates if gate.test in nodeid)


def names_no_tests(config: pytest.Config) -> bool:
    """Return whether a session is about the whole project: started at its root, without naming files or tests."""
    is_named = config.args_source is config.ArgsSource.ARGS
    leaves_out = any(config.getoption(name, None) for name in ("ignore", "ignore_glob", "lf"))
    return not is_named and not leaves_out and config.invocation_params.dir == config.rootpath


def _read(config: pytest.Config) -> GateSettings:
    ini = [gate_from_text(line, "the ini key dspex_gates") for line in config.getini("dspex_gates")]
    flags = [gate_from_text(text, FLAG) for text in config.getoption("dspex_gate") or ()]
    is_ci = os.environ.get("CI", "").strip().lower() not in _NOT_CI
    is_part = config.getoption("dspex_partial") is not None  # its gates are decided by --dspex-merge
    missing_data = _policy(config, "not_evaluated") or ("fail" if is_ci and not is_part else "pass")
    return GateSettings(
        gates=(*ini, *flags),
        fails_inconclusive=_policy(config, "inconclusive") == "fail",
        fails_not_evaluated=missing_data == "fail",
        fails_no_calls=_policy(config, "no_calls") == "fail",
        updates=config.getoption("dspex_update_baseline"),
    )


def _policy(config: pytest.Config, name: str) -> str:
    value = config.getoption(f"dspex_{name}") or config.getini(f"dspex_{name}")
    if value not in ("", *POLICIES):
        from dspex_core import ConfigurationError  # imported only for an error

        raise ConfigurationError(f"the ini key dspex_{name} is {value!r}; set it to 'pass' or 'fail'")
    return str(value)
