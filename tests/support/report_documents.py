"""Reports for tests: one with something of everything, and its parts."""

from pytest_dspex.reports.document import (
    BaselineCase,
    CallRow,
    CandidateRow,
    CaseRow,
    Document,
    EvaluationRow,
    GateRow,
    OptimizationRow,
    PromptChange,
    ScoreRow,
    ScoreValue,
    SliceRow,
    SpentRow,
    SuiteRow,
    Turn,
)

TEST = "tests/test_intent.py::test_intent"


def a_case(number, *, expected="refund", got="refund", before=None, **more):
    value = float(expected == got)
    call = CallRow(
        model="openai/gpt-4o-mini",
        messages=(Turn(role="system", content="Decide what it is about."), Turn(role="user", content=f"text {number}")),
        reply=f"[[ ## intent ## ]]\n{got}",
        source="replayed",
        prompt_tokens=120,
        completion_tokens=7,
        cost=0.002,
    )
    baseline = None
    if before is not None:
        baseline = BaselineCase(scores={"accuracy": float(before == expected)}, got={"intent": before})
    row = {
        "id": f"{TEST}[e{number}]",
        "case": f"e{number}",
        "outcome": "pass",
        "inputs": {"text": f"text {number}"},
        "expected": {"intent": expected},
        "got": {"intent": got},
        "scores": {"accuracy": ScoreValue(value=value, feedback="" if value else f"not {expected}")},
        "columns": {"language": "de" if number % 2 else "en"},
        "spent": SpentRow(calls=1, prompt_tokens=120, completion_tokens=7, cost=0.002),
        "calls": (call,),
        "baseline": baseline,
    }
    return CaseRow(**{**row, **more})


def a_suite(*cases, test=TEST, **more):
    counts = {"n": len(cases), "passed": len(cases), "missed": 0, "errors": 0, "skipped": 0}
    return SuiteRow(**{"test": test, "file": test.partition("::")[0], "line": 12, **counts, "cases": cases, **more})


def a_document():
    measured = {"mean": 0.75, "low": 0.3006, "high": 0.9544, "n": 4}
    gates = (
        GateRow(name="accuracy", condition=">= 0.9", verdict="FAIL", reason="accuracy 0.75 < 0.9", **measured),
        GateRow(name="brevity", condition=">= 0.5", verdict="OK", reason="brevity 0.75 >= 0.5", **measured),
        GateRow(name="tone", condition=">= 0.5", verdict="NOT EVALUATED", reason="1/4 cases"),
    )
    intent = a_suite(
        a_case(0, before="cancel"),
        a_case(1, got="cancel", before="refund", outcome="miss", message="expected refund"),
        a_case(2, expected="cancel", got="cancel", before="cancel"),
        a_case(3, outcome="error", got=None, message="ValueError: broken", scores={}),
        gates=gates,
        scores=(ScoreRow(name="accuracy", **measured),),
        slices=(SliceRow(name="accuracy", column="language", value="de", **measured),),
    )
    repeats = (
        a_case(repeat, id=f"tests/test_agent.py::test_agent[{repeat}]", case="r0", repeat=repeat, outcome=outcome)
        for repeat, outcome in ((1, "pass"), (2, "miss"), (3, "pass"))
    )
    optimization = OptimizationRow(
        program="intent",
        outcome="improved",
        line="0.81 to 0.86",
        candidates=(
            CandidateRow(name="seed 0", score=0.8, n=50, cost=0.01),
            CandidateRow(name="seed 1", score=0.9, n=50, cost=0.03, is_chosen=True),
        ),
        prompts=(PromptChange(predictor="predict", before="Decide.\nBe brief.", after="Decide now.\nBe brief."),),
    )
    return Document(
        suites=(intent, a_suite(*repeats, test="tests/test_agent.py::test_agent")),
        evaluations=(
            EvaluationRow(test="tests/test_all.py::test_all", score="f1", mean=0.5, low=0.4, high=0.6, n=9, errors=1),
        ),
        optimizations=(optimization,),
        notes=("LM calls: 7 replayed",),
    )
