"""Gates on a value of this session: less is better, confidence, statistics, slices, combinations, what is not known."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspex_core.stats import wilson_interval
from pytest_dspex.gates.baselines import Baselines
from pytest_dspex.gates.grammar import Gate
from pytest_dspex.gates.records import CaseFacts, CaseRecord, Collected, RecordedScore, Spent
from pytest_dspex.gates.scoring import statistic
from pytest_dspex.gates.verdict_groups import decide_all
from pytest_dspex.reports.model import suite_of

WHERE = "test_it.py::test_it"
FINITE = st.floats(min_value=-10, max_value=10)


def case(name, outcome="pass", *, columns=None, params=None, spent=None, **scores):
    facts = CaseFacts(columns=columns or {}, params=params or {}, row_id=name, spent=spent or Spent())
    named = "-".join([*map(str, (params or {}).values()), name])
    recorded = {score: RecordedScore(float(value)) for score, value in scores.items()}
    return CaseRecord(f"{WHERE}[{named}]", WHERE, named, outcome, recorded, "", facts)


def cases_of(*values):
    return [case(f"c{number}", s=value) for number, value in enumerate(values)]


def decide(gate, cases, *, expected=None, combinations=()):
    total = len(cases) if expected is None else expected
    gates = gate if isinstance(gate, tuple) else (gate,)
    collected = Collected(total, "", gates, combinations)
    return decide_all(WHERE, cases, collected, expected=total, baselines=Baselines(Path()))


def only(verdicts):
    (verdict,) = verdicts
    return verdict


# Less is better


def test_a_mean_beyond_the_most_fails_with_the_highest_first():
    assert only(decide(Gate("s", max=2), cases_of(1, 2, 3))).status == "passed"
    verdict = only(decide(Gate("s", max=2), cases_of(1, 2, 3, 9)))
    assert (verdict.status, [worst.value for worst in verdict.worst]) == ("failed", [9, 3])
    assert "> 2" in verdict.reason


@pytest.mark.parametrize("bad", [case("bad", "error"), case("bad", "miss"), case("bad", s=math.nan)])
def test_a_case_without_a_value_is_the_worst_where_less_is_better(bad):
    assert only(decide(Gate("s", max=100), [*cases_of(1, 1, 1), bad])).status == "failed"


@given(values=st.lists(FINITE, min_size=1, max_size=8), bound=FINITE, data=st.data())
def test_an_error_never_turns_a_failed_gate_into_a_passed_one(values, bound, data):
    cases = cases_of(*values)
    place = data.draw(st.integers(0, len(cases) - 1))
    broken = [case(each.case, "error") if number == place else each for number, each in enumerate(cases)]
    for gate in (Gate("s", min=bound), Gate("s", max=bound)):
        if only(decide(gate, cases)).status == "failed":
            better = cases[place].scores["s"].value
            is_worse_than_all = better == (max if gate.max is not None else min)(values)
            assert is_worse_than_all or only(decide(gate, broken)).status == "failed"


@pytest.mark.parametrize("minimum", [0.0, -5.0])
def test_cases_of_which_none_has_a_value_never_pass(minimum):
    assert only(decide(Gate("s", min=minimum), [case("a", "error"), case("b", "error")])).status == "failed"


# Confidence


def test_with_a_confidence_the_lower_end_of_the_interval_decides():
    cases = cases_of(*[1] * 9, 0)
    assert only(decide(Gate("s", min=0.8), cases)).status == "passed"
    verdict = only(decide(Gate("s", min=0.8, confidence=0.95), cases))
    assert (verdict.status, round(verdict.interval.low, 3)) == ("failed", 0.596)  # Wilson's
    assert "the lower end at 95 % is 0.5958 < 0.8" in verdict.reason
    assert only(decide(Gate("s", min=0.8, confidence=0.95), cases_of(*[1] * 99, 0))).status == "passed"


def test_with_a_confidence_the_upper_end_decides_where_less_is_better():
    cases = cases_of(*[0] * 9, 1)
    assert only(decide(Gate("s", max=0.2), cases)).status == "passed"
    assert only(decide(Gate("s", max=0.2, confidence=0.95), cases)).status == "failed"


# Statistics


@given(values=st.lists(FINITE, min_size=1), stat=st.sampled_from(["p50", "p90", "p95", "p99"]))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values, stat):
    found = statistic(stat, values)
    assert found in values
    assert sum(value <= found for value in values) / len(values) >= int(stat[1:]) / 100
    assert sum(value < found for value in values) / len(values) < int(stat[1:]) / 100


@pytest.mark.parametrize(("stat", "value"), [("p95", 95), ("p50", 50), ("max", 100), ("min", 1), ("sum", 5050)])
def test_a_gate_may_be_on_another_statistic(stat, value):
    cases = cases_of(*range(1, 101))
    assert only(decide(Gate("s", max=value, stat=stat), cases)).status == "passed"
    verdict = only(decide(Gate("s", max=value - 1, stat=stat), cases))
    assert (verdict.status, verdict.mean) == ("failed", value)


# Scores that nobody records


def test_costs_tokens_calls_latency_and_errors_are_scores():
    spent = Spent(calls=2, prompt_tokens=90, completion_tokens=10, cost=0.5, latency=3.0)
    cases = [case("a", spent=spent), case("b", spent=spent), case("c", "error", spent=spent)]
    for name, value in {"calls": 2, "tokens": 100, "cost": 0.5, "latency": 3, "errors": 1 / 3}.items():
        assert only(decide(Gate(name, max=value), cases)).status == "passed"
        assert only(decide(Gate(name, max=value * 0.9), cases)).status == "failed"


@pytest.mark.parametrize(
    ("name", "spent", "why"),
    [
        ("cost", Spent(calls=1, cost=None), "the price of the model is not known"),
        ("latency", Spent(calls=1, latency=None), "the cassette does not hold it"),
        ("cost", Spent(), "no LM call of the test was seen"),
        ("tokens", Spent(), "no LM call of the test was seen"),
    ],
)
def test_what_is_not_known_is_not_evaluated(name, spent, why):
    verdict = only(decide(Gate(name, max=10), [case("a", spent=spent)]))
    assert verdict.status == "not evaluated"
    assert why in verdict.reason


def test_a_score_that_the_test_records_itself_hides_the_one_of_that_name():
    assert only(decide(Gate("cost", max=1), cases_of(0) and [case("a", cost=5)])).status == "failed"


# Skipped cases


# Skipped cases


@pytest.mark.parametrize(
    ("ran", "skipped", "status"), [(1, 1, "not evaluated"), (1, 35, "not evaluated"), (3, 1, "passed")]
)
def test_a_gate_that_is_left_with_too_few_cases_does_not_pass_in_silence(ran, skipped, status):
    cases = [*cases_of(*[1] * ran), *(case(f"s{number}", "skip") for number in range(skipped))]
    assert only(decide(Gate("s", min=0.5), cases)).status == status


# Slices


LANGUAGES = [
    case("a", s=1, columns={"lang": "de"}),
    case("b", s=1, columns={"lang": "de"}),
    case("c", s=0, columns={"lang": "fr"}),
]


def test_each_slice_has_a_verdict_of_its_own():
    verdicts = decide(Gate("s", min=0.5, by=("lang",)), LANGUAGES)
    assert [(each.label, each.status, each.n, each.slice) for each in verdicts] == [
        ("gate-s-lang=de", "passed", 2, {"lang": "de"}),
        ("gate-s-lang=fr", "failed", 1, {"lang": "fr"}),
    ]


def test_a_condition_keeps_the_cases_with_that_value_which_a_flag_writes_as_text():
    assert only(decide(Gate("s", min=0.9, where=(("lang", "de"),)), LANGUAGES)).n == 2
    numbers = [case("a", s=1, columns={"level": 3}), case("b", s=0, columns={"level": 4})]
    assert only(decide(Gate("s", min=0.9, where=(("level", "3"),)), numbers)).status == "passed"


def test_a_condition_that_no_case_meets_is_not_evaluated():
    verdict = only(decide(Gate("s", min=0.9, where=(("lang", "xx"),)), LANGUAGES))
    assert (verdict.status, verdict.reason) == ("not evaluated", "no case has lang=xx")


def test_a_column_that_no_case_has_is_a_usage_error():
    verdict = only(decide(Gate("s", min=0.5, by=("land",)), LANGUAGES))
    assert verdict.is_usage_error
    assert "no case has a column or parameter 'land'" in verdict.reason


def test_slices_of_which_cases_are_missing_are_not_evaluated():
    verdict = only(decide(Gate("s", min=0.5, by=("lang",)), LANGUAGES, expected=9))
    assert (verdict.status, verdict.reason) == ("not evaluated", "3/9 cases")


# Combinations of other parameters


COMBINATIONS = (({"model": "x"}, 3), ({"model": "y"}, 3))
MODELS = [case(f"r{row}", s=model == "x" or row == 0, params={"model": model}) for model in "xy" for row in range(3)]


def test_each_combination_of_parameters_has_a_verdict_of_its_own():
    verdicts = decide(Gate("s", min=0.5), MODELS, combinations=COMBINATIONS)
    assert [(each.label, each.status, each.n) for each in verdicts] == [
        ("gate-s-model=x", "passed", 3),
        ("gate-s-model=y", "failed", 3),
    ]


def test_a_pooled_parameter_does_not_divide_the_cases():
    verdict = only(decide(Gate("s", min=0.5, pool=("model",)), MODELS, combinations=COMBINATIONS))
    assert (verdict.label, verdict.n, verdict.status) == ("gate-s", 6, "passed")


def test_a_combination_whose_cases_are_missing_is_not_evaluated_and_the_others_are():
    verdicts = decide(Gate("s", min=0.5), MODELS[:5], combinations=COMBINATIONS, expected=6)
    found = [(each.status, each.reason[:9]) for each in verdicts]
    assert found == [("passed", "s 1 [0.43"), ("not evaluated", "2/3 cases")]


def test_combinations_are_compared_pair_by_pair_on_the_same_rows():
    collected = Collected(6, "", (Gate("s", min=0.1),), COMBINATIONS)
    suite = suite_of(WHERE, MODELS, collected=collected, expected=6, baselines=Baselines(Path()))
    (pairing,) = suite.pairings
    assert (pairing.first, pairing.second, pairing.n) == ("model=x", "model=y", 3)
    assert (pairing.first_mean, round(pairing.second_mean, 3), pairing.p_value) == (1, 0.333, 0.5)


# Names


def test_gates_have_names_that_no_row_and_no_other_gate_has():
    gates = (Gate("s", min=0.5), Gate("s", max=2), Gate("s", min=0.6))
    verdicts = decide(gates, [case("gate-s", s=1), *cases_of(1, 1)])
    assert [each.label for each in verdicts] == ["gate-s#2", "gate-s-max", "gate-s#3"]


def test_ten_thousand_fractional_scores_are_decided_without_a_bootstrap():
    cases = cases_of(*(number % 97 / 97 for number in range(10_000)))
    verdict = only(decide(Gate("s", min=0.4, confidence=0.95), cases))
    assert verdict.interval.low < 0.4949 < verdict.interval.high
    assert verdict.interval.high - verdict.interval.low < 0.02


# Attempts at one row


def attempts_of(*rows):
    """Return a record for each attempt; each row is a list of the scores of its attempts."""
    return [
        replace(case(f"c{row}", s=value), nodeid=f"{WHERE}[c{row}-{number}/{len(values)}]", attempt=number)
        for row, values in enumerate(rows)
        for number, value in enumerate(values, 1)
    ]


def test_attempts_at_a_row_are_not_cases_of_their_own():
    alike = attempts_of(*[[1] * 5] * 18, *[[0] * 5] * 2)  # five attempts that say what one says

    verdict = only(decide(Gate("s", min=0.85), alike))

    assert verdict.interval == only(decide(Gate("s", min=0.85), cases_of(*[1] * 18, *[0] * 2))).interval
    assert "n=20 rows, 100 attempts" in verdict.reason


def test_the_end_of_an_interval_over_attempts_is_that_of_the_rows():
    alike = attempts_of(*[[1] * 5] * 45, *[[0] * 5] * 5)
    sure = Gate("s", min=0.85, confidence=0.95)

    assert only(decide(sure, alike)).status == "failed"  # .90 of 50 rows
    assert only(decide(sure, cases_of(*[1] * 225, *[0] * 25))).status == "passed"  # .90 of 250 rows


def test_pooled_parameters_of_one_row_are_attempts_at_it():
    pooled = [case(f"c{row}", params={"attempt": k}, s=row % 2) for row in range(20) for k in range(3)]
    combinations = tuple(({"attempt": k}, 20) for k in range(3))

    verdict = only(decide(Gate("s", min=0.4, pool=("attempt",)), pooled, combinations=combinations))

    assert "n=20 rows, 60 attempts" in verdict.reason
    assert verdict.interval == wilson_interval(10, 20)


def test_cases_without_rows_are_cases_of_their_own():
    plain = [replace(each, facts=CaseFacts()) for each in cases_of(1, 0, 1, 1)]

    assert only(decide(Gate("s", min=0.5), plain)).interval == wilson_interval(3, 4)


@given(rows=st.lists(st.lists(st.sampled_from([0, 0.5, 1]), min_size=1, max_size=4), min_size=1, max_size=6))
def test_the_interval_holds_the_mean_of_all_attempts(rows):
    verdict = only(decide(Gate("s", min=0.5), attempts_of(*rows)))

    assert verdict.interval.low - 1e-9 <= verdict.mean <= verdict.interval.high + 1e-9
    assert verdict.n == sum(map(len, rows))
