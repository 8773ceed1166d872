"""What a session knows of its cases: the values that go from the process that ran a case to all reports.

Each has `to_json` and `from_json`. A case's report travels as one text, in the user properties of pytest's reports,
since xdist cannot send values of all types. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from pytest_dspex.gates.grammar import Gate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Outcome = Literal["pass", "miss", "error", "skip"]
Source = Literal["asked", "cached", "replayed", "recorded", "failed"]

PROPERTY = "dspex"  # the name of the user property
_WRITER = json.JSONEncoder(separators=(",", ":"))  # `json.dumps` makes one for each call


class RecordedScore(NamedTuple):
    """One value that a test recorded, with its feedback, and with more about it as JSON data."""

    value: float
    feedback: str = ""
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of one `evaluate(...)` in a test: the mean of a metric and its 95 % interval."""

    test: str
    score: str
    mean: float
    low: float
    high: float
    n: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LMCall:
    """One LM call of a case.

    Args:
        model: The model that was called.
        messages: The prompt: the role and the text of each message.
        reply: The text of the first output.
        prompt_tokens: The tokens of the prompt.
        completion_tokens: The tokens of the reply.
        cost: Dollars, if known; of a replayed call, those of the recording.
        latency: Seconds until the answer, if known; of a replayed call, those of the recording.
        source: Where the answer is from; "failed" for a call without one.
    """

    model: str
    messages: tuple[Mapping[str, str], ...]
    reply: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    latency: float | None = None
    source: Source = "asked"

    def to_json(self) -> dict[str, Any]:
        """Return the call as JSON data."""
        return {**_members(self), "messages": list(self.messages)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the call that `to_json` wrote."""
        return cls(**{**data, "messages": tuple(data["messages"])})


@dataclass(frozen=True, slots=True)
class Spent:
    """The totals of a case's LM calls. `cost` (dollars) and `latency` (seconds) are `None` if a call's is not known."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = 0.0
    latency: float | None = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFacts:
    """The content of a case, as JSON data.

    Args:
        inputs: The inputs of its dataset row; long values are cut.
        expected: The other fields of its row; long values are cut.
        prediction: The output of its program, a dict of fields for most; long values are cut.
        params: The other parameters of the test item, such as `{"model": "x"}`.
        row_id: The id of its dataset row.
        columns: The fields of the row that gates name, whole.
        spent: The totals of its LM calls.
        calls: Its LM calls, if a report shows them or the case did not pass.
        repeat: Which of the attempts at its row this is, from 1; `None` for a case that runs once.
        hashes: Of the row, the program, the metric and the LM, if a baseline needs them.
        uncalled: What the test is about, its programs or its function, if it passed without an LM call.
    """

    inputs: Mapping[str, Any] = field(default_factory=dict)
    expected: Mapping[str, Any] = field(default_factory=dict)
    prediction: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)
    row_id: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)
    calls: tuple[LMCall, ...] = ()
    repeat: int | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)
    uncalled: str = ""

    @property
    def row(self) -> dict[str, Any]:
        """The fields of the dataset row."""
        return {**self.inputs, **self.expected}

    def to_json(self) -> dict[str, Any]:
        """Return the facts that there are."""
        found = {name: value for name, value in _members(self).items() if value}
        if self.spent.calls:
            found["spent"] = _members(self.spent)
        else:
            del found["spent"]
        if self.calls:
            found["calls"] = [call.to_json() for call in self.calls]
        return found

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the facts that `to_json` wrote."""
        calls = tuple(map(LMCall.from_json, data.get("calls", ())))
        return cls(**{**data, "spent": Spent(**data.get("spent", {})), "calls": calls})


@dataclass(frozen=True, slots=True)
class Collected:
    """The collected facts of a test function.

    Args:
        cases: The number of its cases, including those that are deselected.
        ids: The digest of their node ids.
        gates: Its gates, in the order of the decorators.
        combinations: The combinations of its parameters other than the dataset row, with the number of their cases.
    """

    cases: int
    ids: str
    gates: tuple[Gate, ...]
    combinations: tuple[tuple[Mapping[str, Any], int], ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns and parameters that its gates name."""
        return tuple(dict.fromkeys(name for gate in self.gates for name in gate.columns))

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        stored = {"cases": self.cases, "ids": self.ids, "gates": [gate.to_json() for gate in self.gates]}
        return {**stored, "combinations": list(self.combinations)} if self.combinations else stored

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        combinations = tuple((params, count) for params, count in data.get("combinations", ()))
        return cls(data["cases"], data["ids"], tuple(Gate.from_json(gate) for gate in data["gates"]), combinations)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseReport:
    """The results of one attempt of a test item, as the process that ran it reports them.

    Args:
        function: The node id of the test function, without the parameters.
        case: The id of the dataset row; empty for a test without a dataset.
        place: The place of the item among all that were collected, whatever the order in which they run.
        attempt: 1 for the first attempt, 2 for the first rerun.
        is_error: Whether the test failed with an error that is not an assertion.
        is_missed: Whether it failed since a request is not recorded.
        scores: The recorded scores, by name.
        evaluations: The results of the fixture `evaluate`.
        collected: The collected facts of the function; sent with its first case in a process: a worker
            that crashes has no other way.
        facts: The content of the case.
    """

    function: str
    case: str = ""
    place: int = 0
    attempt: int = 1
    is_error: bool = False
    is_missed: bool = False
    scores: Mapping[str, RecordedScore] = field(default_factory=dict)
    evaluations: tuple[Evaluation, ...] = ()
    collected: Collected | None = None
    facts: CaseFacts = field(default_factory=CaseFacts)

    def to_property(self) -> tuple[str, str]:
        """Return the user property for the item's pytest reports."""
        return PROPERTY, _WRITER.encode(self.to_json())

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return what the value of a user property says."""
        return cls.from_json(json.loads(text))

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            **_members(self),
            "scores": _scores_to_json(self.scores),
            "evaluations": [asdict(evaluation) for evaluation in self.evaluations],
            "collected": None if self.collected is None else self.collected.to_json(),
            "facts": self.facts.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the report that `to_json` wrote."""
        collected = data["collected"]
        read: dict[str, Any] = {
            "scores": _scores_from_json(data["scores"]),
            "evaluations": tuple(Evaluation(**evaluation) for evaluation in data["evaluations"]),
            "collected": None if collected is None else Collected.from_json(collected),
            "facts": CaseFacts.from_json(data["facts"]),
        }
        return cls(**{**data, **read})


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """The result of one test item.

    Args:
        nodeid: The node id of the item.
        function: The node id of its test function, without the parameters.
        case: The id of its dataset row; empty for a test without a dataset.
        outcome: "miss" for a failed assertion, "error" for any other failure.
        scores: The recorded scores, by name.
        message: Why the item did not pass, in one line.
        facts: The content of the case.
        attempt: The attempt whose result this is: 1, or more after reruns.
        is_missed: Whether it failed since a request is not recorded.
        duration: The seconds that the item took.
    """

    nodeid: str
    function: str
    case: str
    outcome: Outcome
    scores: Mapping[str, RecordedScore] = field(default_factory=dict)
    message: str = ""
    facts: CaseFacts = field(default_factory=CaseFacts)
    attempt: int = 1
    is_missed: bool = False
    duration: float = field(default=0.0, compare=False)  # not a result: equal results may take longer

    @property
    def name(self) -> str:
        """The id of the dataset row, or the node id of a test without a dataset."""
        return self.case or self.nodeid

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON data."""
        return {**_members(self), "scores": _scores_to_json(self.scores), "facts": self.facts.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the record that `to_json` wrote."""
        scores, facts = _scores_from_json(data["scores"]), CaseFacts.from_json(data.get("facts", {}))
        return cls(**{**data, "scores": scores, "facts": facts})


def digest(texts: Iterable[str]) -> str:
    """Return a short hash of texts, whatever their order."""
    return hashlib.sha256("\0".join(sorted(texts)).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _members(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass as they are; `asdict` would copy all that is in them."""
    kind: Any = type(value)  # hashable, which mypy does not know of it
    return {name: getattr(value, name) for name in _names_of(kind)}


@lru_cache
def _names_of(kind: type[Any]) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


def _scores_to_json(scores: Mapping[str, RecordedScore]) -> dict[str, list[Any]]:
    return {name: list(score) if score.details else list(score[:2]) for name, score in scores.items()}


def _scores_from_json(data: Mapping[str, list[Any]]) -> dict[str, RecordedScore]:
    return {name: RecordedScore(float(value), str(feedback), *rest) for name, (value, feedback, *rest) in data.items()}
