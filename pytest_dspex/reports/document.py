"""The published form of a session's report: what the JSON file holds, and what all pages are made from.

The JSON schema (`report.schema.json`, beside this file) is made from these classes. A reader ignores fields that it
does not know: a field may be added within a version, but none is removed or changes its meaning. PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

FORMAT: Final = "dspex-report"
VERSION: Final = 1

Outcome = Literal["pass", "miss", "error", "skip"]
Verdict = Literal["OK", "FAIL", "INCONCLUSIVE", "NOT EVALUATED"]


class _Part(BaseModel):
    """A part of the document."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class ScoreValue(_Part):
    """One score of a case."""

    value: float | None
    """The value; null stands for one that is not a finite number."""
    feedback: str = ""
    """What explains the value."""
    details: dict[str, Any] = {}
    """More about the value by name, such as the precision and the recall; empty for most scores."""


class Turn(_Part):
    """One message of a prompt."""

    role: str
    content: str


class CallRow(_Part):
    """One LM call of a case."""

    model: str
    """The model that was asked."""
    messages: tuple[Turn, ...] = ()
    """The prompt."""
    reply: str = ""
    """The raw reply, before any parsing."""
    source: Literal["asked", "cached", "replayed", "recorded", "failed"] = "asked"
    """Where the reply is from: the model, the session's cache, a cassette; a "recorded" one came from the model,
    perhaps by way of the cache, and went into a cassette, and a "failed" call has no reply."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    """Dollars, if known; of a replayed call, those of its recording."""
    latency: float | None = None
    """Seconds, if known; of a replayed call, those of its recording."""


class SpentRow(_Part):
    """The totals of LM calls; dollars and seconds are null if those of a call are not known."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = 0.0
    latency: float | None = 0.0


class BaselineCase(_Part):
    """The same case in the baseline."""

    scores: dict[str, float | None] = {}
    got: Any = None


class CaseRow(_Part):
    """One test item."""

    id: str
    """The node id, which selects this item on pytest's command line."""
    case: str = ""
    """The id of the dataset's row; empty for a test without a dataset."""
    outcome: Outcome
    """"miss" is a failed assertion, "error" any other failure."""
    message: str = ""
    """Why the item did not pass."""
    inputs: dict[str, Any] = {}
    """The input fields of the row."""
    expected: dict[str, Any] = {}
    """The other fields of the row."""
    got: Any = None
    """The program's output: an object with its fields for most programs; null if there is none."""
    scores: dict[str, ScoreValue] = {}
    columns: dict[str, Any] = {}
    """The fields of the row by which gates are decided apart."""
    params: dict[str, Any] = {}
    """The other parameters of the test, such as the model."""
    repeat: int | None = None
    """Which of the case's repeats this is, from 1; null for a case that runs once."""
    spent: SpentRow = SpentRow()
    """The totals of the case's LM calls."""
    calls: tuple[CallRow, ...] = ()
    baseline: BaselineCase | None = None


class ScoreRow(_Part):
    """One score over the cases of a test. Cases without a value count as 0; skipped ones are left out."""

    name: str
    mean: float | None
    low: float | None = None
    """The lower end of the 95 % interval."""
    high: float | None = None
    """The upper end of the 95 % interval."""
    n: int
    """The number of rows in the mean; several cases may be attempts at one row."""
    attempts: int = 0
    """The number of cases in the mean."""
    errors: int = 0
    """How many of them ended with an error."""
    unrecorded: int = 0
    """How many of them ran and did not record this score."""
    skipped: int = 0


class SliceRow(ScoreRow):
    """One score over the cases that have one value in a column."""

    column: str
    value: str


class GateRow(_Part):
    """The decision of a gate."""

    name: str
    """The score."""
    label: str = ""
    """The part of the gate's node id within brackets; no two gates of a test share it."""
    slice: dict[str, Any] = {}
    """The values of the columns that its cases have in common."""
    params: dict[str, Any] = {}
    """The values of the test's other parameters that its cases have in common."""
    condition: str
    """What it must reach, as in ">= 0.85"."""
    verdict: Verdict
    reason: str
    """The verdict in one line."""
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    """The number of rows in the mean; several cases may be attempts at one row."""
    attempts: int = 0
    """The number of cases in the mean."""
    errors: int = 0
    unrecorded: int = 0
    before: float | None = None
    """The mean in the baseline, over the cases that both have, for a gate that compares."""
    p_value: float | None = None
    """How likely chance makes such a change for the worse."""
    worst: tuple[str, ...] = ()
    """The node ids of the cases that scored lowest, the worst first."""
    rerun: str = ""
    """The command that runs exactly these cases again."""


class SuiteRow(_Part):
    """The cases of one test function."""

    test: str
    """The node id of the function, without parameters."""
    file: str
    """Its file, relative to the root directory."""
    line: int | None = None
    """Its line, from 1."""
    n: int
    passed: int
    missed: int
    errors: int
    skipped: int
    silent: int = 0
    """How many cases ran to their end and recorded no score at all."""
    gates: tuple[GateRow, ...] = ()
    scores: tuple[ScoreRow, ...] = ()
    slices: tuple[SliceRow, ...] = ()
    cases: tuple[CaseRow, ...] = ()


class EvaluationRow(_Part):
    """The result of one `evaluate(...)` in a test."""

    test: str
    score: str
    mean: float
    low: float
    high: float
    n: int
    errors: int


class CandidateRow(_Part):
    """One program that an optimizer has tried."""

    name: str
    score: float | None
    """Its score on the examples on which candidates are chosen."""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    cost: float | None = None
    """Dollars for its evaluation; null if they are not known."""
    tokens: int | None = None
    is_chosen: bool = False


class PromptChange(_Part):
    """The prompt of one predictor before and after an optimizer's run."""

    predictor: str
    before: str
    after: str


class OptimizationRow(_Part):
    """One program that `--dspex-optimize` has recompiled."""

    program: str
    outcome: Literal["improved", "recompiled", "not better", "regressed"]
    """How it compares with the program in use; "recompiled" replaces an artifact of an older source."""
    line: str
    """The outcome in one line."""
    why: str = ""
    """Why a program that scores better is not taken."""
    metric: str = ""
    before: float | None = None
    """The held-out score of the program in use."""
    after: float | None = None
    """The held-out score of the recompiled program."""
    p_value: float | None = None
    """Of the paired difference, two-sided."""
    n: int | None = None
    """The number of held-out examples."""
    look: int | None = None
    """How often the held-out examples have been consulted for this program, this time included."""
    is_stored: bool = False
    """Whether the recompiled program is the artifact now."""
    lost: tuple[str, ...] = ()
    """For a regression, a line for each example on which the recompiled program scores less."""
    candidates: tuple[CandidateRow, ...] = ()
    prompts: tuple[PromptChange, ...] = ()


class Document(_Part):
    """The report of one session."""

    model_config = ConfigDict(title="pytest-dspex report")

    format: Literal["dspex-report"] = FORMAT
    version: Literal[1] = VERSION
    mode: Literal["replay", "record", "live"] = "replay"
    """Where the replies came from: cassettes; the model, where they were not recorded; the model."""
    suites: tuple[SuiteRow, ...] = ()
    evaluations: tuple[EvaluationRow, ...] = ()
    optimizations: tuple[OptimizationRow, ...] = ()
    notes: tuple[str, ...] = ()
