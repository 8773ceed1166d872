import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspex_core.errors import ConfigurationError
from pytest_dspex.gates.decide import decide as decide_summary
from pytest_dspex.gates.grammar import Gate, gates_from_marker
from pytest_dspex.gates.records import CaseRecord, RecordedScore
from pytest_dspex.gates.scoring import summarize

WHERE = "test_intent.py::test_intent"


def case(name, outcome="pass", *, message="", **scores):
    return CaseRecord(
        nodeid=f"{WHERE}[{name}]",
        function=WHERE,
        case=name,
        outcome=outcome,
        scores={score: RecordedScore(float(value), f"{score} of {name}") for score, value in scores.items()},
        message=message,
    )


def cases_of(*values):
    return [case(f"c{number}", accuracy=value) for number, value in enumerate(values)]


def decide(gate, cases, expected):
    return decide_summary(gate, summarize(gate.name, cases), expected)


def marker(*args, **kwargs):
    return pytest.mark.dspex_gate(*args, **kwargs).mark


finite = st.floats(min_value=-10, max_value=10)
case_lists = st.lists(
    st.builds(
        lambda outcome, value, records: case("c", outcome, **({"accuracy": value} if records else {"other": value})),
        outcome=st.sampled_from(["pass", "miss", "error", "skip"]),
        value=st.one_of(st.sampled_from([0.0, 1.0]), finite),
        records=st.booleans(),
    ),
    max_size=12,
)


# The marker


def test_a_marker_becomes_a_gate():
    assert gates_from_marker(marker("accuracy", min=1), WHERE) == (Gate("accuracy", 1.0),)


@pytest.mark.parametrize(
    ("mark", "named"),
    [
        (marker(), "()"),
        (marker("accuracy", 0.8), "('accuracy', 0.8)"),
        (marker(0.8), "(0.8,)"),
        (marker("accuracy"), "lacks min="),
        (marker("accuracy", mni=0.8), "'mni'; it takes 'min'"),
        (marker("accuracy", min="0.8"), "min='0.8'"),
        (marker("accuracy", min=True), "min=True"),
        (marker("accuracy", min=math.nan), "min=nan"),
    ],
)
def test_a_wrong_marker_names_the_test_and_what_is_wrong(mark, named):
    with pytest.raises(ConfigurationError) as caught:
        gates_from_marker(mark, WHERE)
    assert str(caught.value).startswith(f"{WHERE}: dspex_gate")
    assert named in str(caught.value)


def test_a_gate_survives_the_way_from_a_worker():
    gate = Gate("accuracy", 0.85)
    assert Gate.from_json(gate.to_json()) == gate


# The decision


def test_a_mean_that_reaches_the_minimum_passes():
    verdict = decide(Gate("accuracy", 0.75), cases_of(1, 1, 1, 0), 4)
    assert (verdict.status, verdict.mean, verdict.n, verdict.errors) == ("passed", 0.75, 4, 0)
    assert verdict.reason == "accuracy 0.75 [0.3006, 0.9544] >= 0.75, n=4"


def test_a_mean_below_the_minimum_fails_and_shows_the_worst_cases_first():
    verdict = decide(Gate("accuracy", 0.8), cases_of(0.5, 1, 0.1, 0.9), 4)
    assert verdict.status == "failed"
    assert not verdict.is_usage_error
    assert [(worst.record.case, worst.value, worst.why) for worst in verdict.worst] == [
        ("c2", 0.1, "accuracy of c2"),
        ("c0", 0.5, "accuracy of c0"),
    ]


def test_a_mean_that_misses_the_minimum_only_by_rounding_passes():
    assert decide(Gate("accuracy", 0.7), cases_of(0.7, 0.7, 0.7), 3).status == "passed"
    assert decide(Gate("accuracy", 0.15), cases_of(*[0.15] * 7), 7).status == "passed"


def test_an_error_counts_as_0_whatever_it_had_recorded_and_is_shown_as_an_error():
    cases = [*cases_of(1, 1, 1), case("broken", "error", message="TimeoutError: 30 s", accuracy=1)]
    verdict = decide(Gate("accuracy", 0.8), cases, 4)
    assert (verdict.status, verdict.mean, verdict.n, verdict.errors) == ("failed", 0.75, 4, 1)
    assert "errors=1 (counted as 0)" in verdict.reason
    assert verdict.worst[0].why == "error: TimeoutError: 30 s"


def test_a_miss_counts_with_the_score_it_recorded():
    assert decide(Gate("accuracy", 1.0), [case("a", "miss", accuracy=1)], 1).status == "passed"


def test_skipped_cases_are_left_out_and_said():
    verdict = decide(Gate("accuracy", 1.0), [*cases_of(1, 1), case("later", "skip")], 3)
    assert (verdict.status, verdict.n) == ("passed", 2)
    assert verdict.reason.endswith("n=2, skipped=1 (left out)")


def test_a_gate_of_skipped_cases_only_is_not_evaluated():
    verdict = decide(Gate("accuracy", 0.0), [case("a", "skip"), case("b", "skip")], 2)
    assert (verdict.status, verdict.reason, verdict.mean) == ("not evaluated", "no case ran, 2 skipped", None)


def test_missing_cases_leave_the_gate_not_evaluated_even_if_the_others_are_perfect():
    verdict = decide(Gate("accuracy", 0.5), cases_of(1, 1, 1), 10)
    assert (verdict.status, verdict.reason, verdict.mean) == ("not evaluated", "3/10 cases", 1.0)


def test_a_case_that_recorded_no_such_score_counts_as_0_and_is_said():
    verdict = decide(Gate("accuracy", 0.9), [*cases_of(1, 1, 1), case("silent", f1=1)], 4)
    assert (verdict.status, verdict.mean) == ("failed", 0.75)
    assert "unrecorded=1 (counted as 0)" in verdict.reason
    assert verdict.worst[0].why == "recorded no 'accuracy'"


def test_a_miss_before_it_recorded_the_score_says_why():
    verdict = decide(Gate("accuracy", 0.9), [*cases_of(1), case("early", "miss", message="assert 1 == 2")], 2)
    assert verdict.worst[0].why == "recorded no 'accuracy': assert 1 == 2"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_counts_as_0(value):
    verdict = decide(Gate("accuracy", 0.9), cases_of(1, value), 2)
    assert verdict.mean == 0.5
    assert verdict.worst[0].why == f"recorded {value!r}, counted as 0"


@pytest.mark.parametrize("minimum", [0.8, 0.0, -1.0])
def test_a_score_that_no_case_recorded_is_a_usage_error_that_names_the_recorded_ones(minimum):
    verdict = decide(Gate("acuracy", minimum), [case("a", accuracy=1), case("b", accuracy=1, f1=0)], 2)
    assert (verdict.status, verdict.is_usage_error) == ("failed", True)
    assert (
        verdict.reason
        == "no case recorded the score 'acuracy'; recorded: 'accuracy', 'f1'; name one of these, or record it"
    )


def test_a_test_that_records_nothing_is_a_usage_error():
    verdict = decide(Gate("accuracy", 0.8), [case("a")], 1)
    assert verdict.is_usage_error
    assert (
        verdict.reason
        == "no case recorded the score 'accuracy'; recorded: nothing; record it with score('accuracy', ...)"
    )


@pytest.mark.parametrize("outcome", ["error", "miss"])
def test_cases_that_all_fail_before_they_score_are_a_plain_failure(outcome):
    verdict = decide(Gate("accuracy", 0.8), [case("a", outcome), case("b", outcome)], 2)
    assert (verdict.status, verdict.is_usage_error, verdict.mean) == ("failed", False, 0.0)


@given(cases=case_lists, minimum=finite)
def test_no_gate_passes_below_its_minimum_or_on_part_of_its_cases(cases, minimum):
    gate = Gate("accuracy", minimum)
    whole = decide(gate, cases, len(cases))
    if whole.status == "passed":
        assert whole.mean >= minimum - 1e-9
        assert whole.n == sum(case.outcome != "skip" for case in cases)
    assert decide(gate, cases, len(cases) + 1).status == "not evaluated"


@given(cases=case_lists, minimum=finite, data=st.data())
def test_cases_that_get_lost_never_turn_a_failure_into_a_pass(cases, minimum, data):
    kept = [case for case in cases if data.draw(st.booleans())]
    if decide(Gate("accuracy", minimum), cases, len(cases)).status == "failed":
        assert decide(Gate("accuracy", minimum), kept, len(cases)).status != "passed"


@given(values=st.lists(st.floats(min_value=0, max_value=1), min_size=1, max_size=12), data=st.data())
def test_an_error_never_raises_the_mean(values, data):
    cases = cases_of(*values)
    broken = data.draw(st.integers(0, len(cases) - 1))
    worse = [replace(case, outcome="error") if place == broken else case for place, case in enumerate(cases)]
    before, after = summarize("accuracy", cases), summarize("accuracy", worse)
    assert after.mean <= before.mean
    assert (after.n, after.errors) == (before.n, 1)
    assert after.interval.low <= after.mean <= after.interval.high
