"""Gates that plugins decide by their hook `pytest_dspex_gate`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_dspex.gates.grammar import Gate
from pytest_dspex.gates.verdicts import Verdict
from pytest_dspex.hookspecs.calling import answers, wrong_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_dspex.gates.records import CaseRecord
    from pytest_dspex.gates.verdicts import Status

_STATUSES = ("passed", "failed", "inconclusive", "not evaluated")


@dataclass(frozen=True, slots=True)
class GateDecision:
    """What a plugin decides of a test's cases.

    Args:
        name: The name of the plugin's gate, or that of a gate of the test, which the plugin then fails.
        status: "passed", "failed", "inconclusive" or "not evaluated".
        reason: Why, in one line.
    """

    name: str
    status: Status
    reason: str


@dataclass(frozen=True, slots=True)
class OwnGate(Gate):
    """A gate without a bound, which a plugin decides."""

    plugin: str = ""

    @property
    def kind(self) -> str:
        """What stands for the kind of bound."""
        return "own"

    @property
    def bound(self) -> float:
        """No value is on the wrong side."""
        return float("-inf")

    @property
    def condition(self) -> str:
        """Who decides the gate."""
        return f"by {self.plugin.rpartition('/')[2]}"


def with_own_gates(
    config: pytest.Config, test: str, cases: Sequence[CaseRecord], *, verdicts: Sequence[Verdict], expected: int
) -> tuple[Verdict, ...]:
    """Return the verdicts of a test, of whose cases there are `expected`, after the decisions of all plugins.

    A plugin adds gates of its own, and fails those that there are; it cannot pass them. With cases missing, its own
    gates are not evaluated. The mistake of a plugin is a failed gate that names it.
    """
    from dspex_core import ConfigurationError  # imported only in sessions with gates

    given = tuple(verdicts)
    hook = config.hook.pytest_dspex_gate
    try:
        for plugin, decided in answers(hook, config, test=test, cases=tuple(cases), verdicts=given):
            for decision in _decisions(decided):
                if not _is_decision(decision):
                    raise wrong_result(hook, plugin, decided, needed="a GateDecision, or several")
                verdicts = _decided(verdicts, decision, plugin=plugin, cases=cases, expected=expected)
    except ConfigurationError as error:
        gate = OwnGate("pytest_dspex_gate", plugin="a plugin")
        failed = GateDecision(gate.name, "failed", str(error))
        return (*verdicts, replace(_verdict(gate, failed, cases), is_usage_error=True))
    return tuple(verdicts)


def _decisions(decided: Any) -> Iterable[Any]:
    return decided if isinstance(decided, Iterable) and not isinstance(decided, str) else [decided]


def _is_decision(decision: Any) -> bool:
    return (
        isinstance(decision, GateDecision)
        and isinstance(decision.name, str)
        and isinstance(decision.reason, str)
        and decision.status in _STATUSES
    )


def _decided(
    verdicts: Sequence[Verdict], decision: GateDecision, *, plugin: str, cases: Sequence[CaseRecord], expected: int
) -> Sequence[Verdict]:
    vetoed = [each for each in verdicts if decision.name in (each.gate.name, each.label.removeprefix("gate-"))]
    if not vetoed:
        if len(cases) < expected:
            decision = GateDecision(decision.name, "not evaluated", f"{len(cases)}/{expected} cases")
        return [*verdicts, _verdict(OwnGate(decision.name, plugin=plugin), decision, cases)]
    if decision.status != "failed":
        return verdicts  # a gate that has failed stays so
    reason = f"{decision.reason} (decided by the plugin {plugin!r})"
    return [replace(each, status="failed", reason=reason) if each in vetoed else each for each in verdicts]


def _verdict(gate: OwnGate, decision: GateDecision, cases: Sequence[CaseRecord]) -> Verdict:
    counted = [case for case in cases if case.outcome != "skip"]
    return Verdict(
        gate=gate,
        status=decision.status,
        mean=None,
        interval=None,
        n=len(counted),
        errors=sum(case.outcome == "error" for case in counted),
        reason=decision.reason,
        label=f"gate-{decision.name}",
    )
