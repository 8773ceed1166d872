"""The words of a gate: how a marker, a flag or a line of the ini file becomes `Gate`s. PYTEST_DONT_REWRITE

The page docs/gates.md has the grammar.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import pytest

BOUNDS = ("min", "max", "max_drop", "max_rise")
STATISTICS = ("mean", "sum", "min", "max", "p50", "p90", "p95", "p99")
_OTHERS = ("confidence", "stat", "vs", "by", "where", "pool")
_OPERATORS = {"min": ">=", "max": "<=", "max_drop": "drop <=", "max_rise": "rise <="}
_FORM = "'accuracy >= 0.85', 'latency:p95 <= 2', 'accuracy drop <= 0.02 vs git:origin/main'"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_TEXT = re.compile(
    rf"\s*(?P<name>[^\s:<>=]+)(?::(?P<stat>\w+))?\s*(?P<op>>=|<=|drop\s*<=|rise\s*<=)\s*(?P<bound>{_NUMBER})"
    rf"(?:\s+at\s+(?P<confidence>{_NUMBER})\s*(?P<percent>%?))?"
    r"(?:\s+vs\s+(?P<vs>\S+))?(?:\s+by\s+(?P<by>\S+))?(?:\s+where\s+(?P<where>\S+=\S+))?(?:\s+in\s+(?P<test>\S+))?\s*"
)


@dataclass(frozen=True, slots=True)
class Gate:
    """A bound on one score, of which exactly one is set: `min`, `max`, `max_drop` or `max_rise`.

    Args:
        name: The score.
        min: The least that the score may be.
        max: The most that it may be.
        max_drop: How far it may fall below the baseline.
        max_rise: How far it may rise above the baseline.
        confidence: If set, the bound is on the end of the interval of that confidence.
        stat: The statistic over the cases that the bound is on.
        vs: The baseline: "baseline", or "git:REVISION" for the file of another revision.
        by: The columns and parameters of which each value has a verdict of its own.
        where: The values of columns and parameters that the cases must have.
        pool: The parameters whose values do not have verdicts of their own.
        test: The part of the node id that tests must have, for gates that are not markers of a test.
        source: The flag or ini key that has the gate; empty for a marker.
    """

    name: str
    min: float | None = None
    max: float | None = None
    max_drop: float | None = None
    max_rise: float | None = None
    confidence: float | None = None
    stat: str = "mean"
    vs: str = "baseline"
    by: tuple[str, ...] = ()
    where: tuple[tuple[str, Any], ...] = ()
    pool: tuple[str, ...] = ()
    test: str = ""
    source: str = ""

    @property
    def kind(self) -> str:
        """The name of the bound that is set."""
        return next(kind for kind in BOUNDS if _bound(self, kind) is not None)

    @property
    def bound(self) -> float:
        """The bound that is set."""
        bound = _bound(self, self.kind)
        assert bound is not None
        return bound

    @property
    def is_paired(self) -> bool:
        """Whether the gate compares with a baseline."""
        return self.max_drop is not None or self.max_rise is not None

    @property
    def wants_less(self) -> bool:
        """Whether less of the score is better."""
        return self.max is not None or self.max_rise is not None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns or parameters that the gate names."""
        return (*self.by, *(name for name, _ in self.where))

    @property
    def condition(self) -> str:
        """The bound as text, such as `>= 0.85`."""
        stat = f"{self.stat} " if self.stat != "mean" else ""
        at = f" at {100 * self.confidence:g}%" if self.confidence is not None else ""
        vs = f" vs {self.vs}" if self.is_paired else ""
        return f"{stat}{_OPERATORS[self.kind]} {self.bound:.4g}{at}{vs}"

    def to_json(self) -> dict[str, Any]:
        """Return the members that are set as JSON data, which workers send to the controller."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value not in (None, "", ())}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` returned."""
        pairs = tuple((name, value) for name, value in data.get("where", ()))
        return cls(**{**data, "where": pairs, "by": tuple(data.get("by", ())), "pool": tuple(data.get("pool", ()))})


def gates_from_marker(mark: pytest.Mark, where: str) -> tuple[Gate, ...]:
    """Read `@pytest.mark.dspex_gate(name, min=...)`: a gate for each bound; `where` names the test in errors.

    Raises:
        ConfigurationError: An argument is missing, unknown or not valid.
    """
    from dspex_core import ConfigurationError  # imported only for tests that have a gate

    problem = _problem_of(mark.args, mark.kwargs)
    if problem:
        raise ConfigurationError(f"{where}: {problem}")
    given = mark.kwargs
    gate = Gate(
        mark.args[0],
        confidence=given.get("confidence"),
        stat=given.get("stat", "mean"),
        vs=given.get("vs", "baseline"),
        by=_names(given.get("by", ())),
        where=tuple((given.get("where") or {}).items()),
        pool=_names(given.get("pool", ())),
    )
    bounds = {kind: float(given[kind]) for kind in given if kind in BOUNDS}
    return tuple(_with_bound(gate, kind, bound) for kind, bound in bounds.items())


def gate_from_text(text: str, source: str) -> Gate:
    """Read a gate such as `accuracy >= 0.85`; `source` names the flag or ini key in errors.

    Raises:
        ConfigurationError: The text has another form.
    """
    from dspex_core import ConfigurationError  # imported only for sessions that have a gate

    match = _TEXT.fullmatch(text)
    if match is None:
        raise ConfigurationError(f"{source} has {text!r}, which is not a gate; write it like {_FORM}")
    kind = {">=": "min", "<=": "max", "drop<=": "max_drop", "rise<=": "max_rise"}["".join(match["op"].split())]
    given: dict[str, Any] = {kind: float(match["bound"])}
    if match["confidence"]:
        given["confidence"] = float(match["confidence"]) / (100 if match["percent"] else 1)
    given |= {name: match[name] for name in ("stat", "vs") if match[name]}
    problem = _problem_of((match["name"],), given)
    if problem:
        raise ConfigurationError(f"{source} has {text!r}: {problem}")
    by = tuple(match["by"].split(",")) if match["by"] else ()
    pairs = [pair.partition("=") for pair in match["where"].split(",")] if match["where"] else []
    conditions = tuple((name, value) for name, _, value in pairs)
    rest = {name: value for name, value in given.items() if name != kind}
    gate = Gate(match["name"], by=by, where=conditions, test=match["test"] or "", source=source, **rest)
    return _with_bound(gate, kind, given[kind])


def _with_bound(gate: Gate, kind: str, bound: float) -> Gate:
    confidence = None if kind in ("max_drop", "max_rise") else gate.confidence
    bounds: dict[str, Any] = {kind: bound}
    return replace(gate, confidence=confidence, **bounds)


def _bound(gate: Gate, kind: str) -> float | None:
    bounds = {"min": gate.min, "max": gate.max, "max_drop": gate.max_drop, "max_rise": gate.max_rise}
    return bounds[kind]


def _names(given: Any) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _problem_of(args: tuple[Any, ...], given: Mapping[str, Any]) -> str | None:
    if len(args) != 1 or not isinstance(args[0], str) or not args[0]:
        return (
            f"dspex_gate has the positional arguments {args!r}; "
            "give it the name of one score, such as dspex_gate('accuracy', min=0.85)"
        )
    call = f"dspex_gate({args[0]!r})"
    known = (*BOUNDS, *_OTHERS)
    unknown = sorted(set(given) - set(known))
    if unknown:
        return f"{call} has an unknown argument {unknown[0]!r}; it takes {', '.join(map(repr, known))}"
    bounds = {kind: given[kind] for kind in BOUNDS if kind in given}
    if not bounds:
        return f"{call} lacks min=, the mean that the score must reach; add it, such as min=0.85 (or max=, max_drop=)"
    for kind, bound in bounds.items():
        if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
            return f"{call} has {kind}={bound!r}, which is not a finite number; set one, such as {kind}=0.85"
        if kind in ("max_drop", "max_rise") and bound < 0:
            return f"{call} has {kind}={bound!r}, which is negative; set how far the score may move, such as 0.02"
    return _problem_of_rest(call, given, bounds)


def _problem_of_rest(call: str, given: Mapping[str, Any], bounds: Mapping[str, float]) -> str | None:
    confidence, stat, vs = given.get("confidence"), given.get("stat", "mean"), given.get("vs", "baseline")
    is_paired = "max_drop" in bounds or "max_rise" in bounds
    if stat not in STATISTICS:
        return f"{call} has stat={stat!r}; it is one of {', '.join(map(repr, STATISTICS))}"
    if stat != "mean" and (confidence is not None or is_paired):
        return f"{call} has stat={stat!r}, but confidence=, max_drop= and max_rise= are about means; leave one out"
    if confidence is not None and (isinstance(confidence, bool) or not _is_share(confidence)):
        return f"{call} has confidence={confidence!r}, which is not between 0 and 1; 0.95 is 95 %"
    if confidence is not None and bounds.keys() <= {"max_drop", "max_rise"}:
        return f"{call} has confidence={confidence!r}, which is for min= and max=; a drop has a paired test of its own"
    return _problem_of_baseline(call, vs, has_use=is_paired or "vs" not in given) or _problem_of_columns(call, given)


def _problem_of_baseline(call: str, vs: Any, *, has_use: bool) -> str | None:
    if vs != "baseline" and not (isinstance(vs, str) and vs.startswith("git:") and vs[4:].strip("-")):
        return f"{call} has vs={vs!r}; it is 'baseline' or 'git:REVISION', such as 'git:origin/main'"
    if not has_use:
        return f"{call} has vs={vs!r} and neither max_drop= nor max_rise=; add one, or leave vs= out"
    return None


def _problem_of_columns(call: str, given: Mapping[str, Any]) -> str | None:
    for name in ("by", "pool"):
        names = given.get(name, ())
        is_list = isinstance(names, list | tuple) and all(isinstance(each, str) for each in names)
        if not isinstance(names, str) and not is_list:
            return f"{call} has {name}={names!r}; give it the name of a column or parameter, or a list of names"
    conditions = given.get("where")
    if conditions is not None and not (isinstance(conditions, Mapping) and all(map(_is_pair, conditions.items()))):
        return f"{call} has where={conditions!r}; give it the values of columns: where={{'language': 'de'}}"
    return None


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and 0 < value < 1


def _is_pair(pair: tuple[Any, Any]) -> bool:
    name, value = pair
    return isinstance(name, str) and (value is None or isinstance(value, str | int | float | bool))
