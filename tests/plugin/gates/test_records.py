"""The record of a case, from the process that ran it to the reports."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_dspex.gates.grammar import Gate
from pytest_dspex.gates.records import (
    CaseFacts,
    CaseRecord,
    CaseReport,
    Collected,
    Evaluation,
    LMCall,
    RecordedScore,
    Spent,
)
from pytest_dspex.keys import DETAILED
from pytest_dspex.running.facts import bounded
from pytest_dspex.session.controller import RESULTS

texts = st.text(max_size=20)
data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
fields = st.dictionaries(texts, data, max_size=3)
amounts = st.none() | st.floats(min_value=0, max_value=100)
counts = st.integers(0, 10_000)
calls = st.builds(
    LMCall,
    model=texts,
    messages=st.lists(st.fixed_dictionaries({"role": texts, "content": texts}), max_size=2).map(tuple),
    reply=texts,
    prompt_tokens=counts,
    cost=amounts,
    latency=amounts,
    source=st.sampled_from(["asked", "cached", "replayed", "recorded", "failed"]),
)
facts = st.builds(
    CaseFacts,
    inputs=fields,
    expected=fields,
    prediction=data.filter(lambda value: value is None or bool(value)),
    params=fields,
    columns=fields,
    spent=st.builds(Spent, calls=st.integers(1, 9), prompt_tokens=counts, cost=amounts, latency=amounts),
    calls=st.lists(calls, max_size=2).map(tuple),
)
scores = st.dictionaries(
    texts, st.builds(RecordedScore, st.floats(allow_nan=False), texts, st.none() | st.just({"judge": "strict"}))
)
reports = st.builds(
    CaseReport,
    function=texts,
    case=texts,
    attempt=st.integers(1, 5),
    is_error=st.booleans(),
    scores=scores,
    evaluations=st.just((Evaluation("t", "f1", 0.5, 0.4, 0.6, 9, 1),)) | st.just(()),
    collected=st.none() | st.just(Collected(3, "abc", (Gate("accuracy", 0.5),))),
    facts=facts,
)
records = st.builds(CaseRecord, texts, texts, texts, st.just("miss"), scores, texts, facts, st.integers(1, 5))


@given(report=reports)
def test_a_report_survives_the_way_to_the_controller(report):
    name, text = report.to_property()
    assert (name, CaseReport.from_text(text)) == ("dspex", report)


@given(record=records)
def test_a_record_survives_the_way_through_a_file(record):
    assert CaseRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


@given(value=data | st.text(min_size=3000) | st.lists(texts, min_size=60), most=st.integers(50, 500))
def test_any_value_becomes_json_data_of_a_bounded_size(value, most):
    assert len(json.dumps(bounded(value, most), ensure_ascii=False)) < 12 * most + 2000


class Unfriendly:
    def __str__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize("value", [Unfriendly(), {"deep": [Unfriendly()]}, [10**5000], b"\xff", {1: {2, 3}}, "\ud800"])
def test_a_value_that_has_no_json_form_or_is_huge_still_has_a_short_one(value):
    assert len(json.dumps(bounded(value, 500))) < 500


SUITE = """
    import pytest

    @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
    def test_qa(example, prediction, score):
        score("accuracy", 1, "fine")
        assert prediction.answer == example.answer
        assert prediction.answer != "red"
"""


@pytest.fixture
def cases_of(project, pytester):
    """Run the session in this process; return its cases by name."""

    def run(*options, detailed=False):
        found = {}

        class Plugin:
            def pytest_configure(self, config):
                config.stash[DETAILED] = detailed

            def pytest_unconfigure(self, config):
                for suite in config.stash[RESULTS].report().suites:
                    found.update({case.name: case for case in suite.cases})

        pytester.runpytest_inprocess(*options, plugins=[Plugin()])
        return found

    return run


def test_a_case_holds_its_row_its_prediction_and_what_its_calls_took(project, cases_of):
    project.rows("red", "blue")
    project.test(SUITE)
    cases = cases_of("--dspex-record=new")
    passed, failed = cases["c-blue"], cases["c-red"]
    assert (passed.outcome, passed.scores) == ("pass", {"accuracy": RecordedScore(1.0, "fine")})
    assert passed.facts.inputs == {"question": "Say blue"}
    assert passed.facts.expected == {"id": "c-blue", "answer": "blue"}
    assert passed.facts.prediction == {"answer": "blue"}
    assert (passed.facts.spent.calls, passed.facts.calls) == (1, ())
    assert (failed.outcome, [call.source for call in failed.facts.calls]) == ("miss", ["recorded"])
    assert "Say red" in failed.facts.calls[0].messages[-1]["content"]
    replayed = cases_of()["c-red"]
    assert (replayed.facts.calls[0].source, replayed.facts.spent.calls) == ("replayed", 1)


def test_a_report_of_all_cases_gets_the_calls_of_those_that_passed_live_too(project, cases_of):
    project.rows("blue")
    project.test(SUITE)
    (case,) = cases_of("--dspex-live", detailed=True).values()
    (call,) = case.facts.calls
    assert (call.model, call.source, call.reply) == ("test/echo", "asked", "[[ ## answer ## ]]\nblue")
    assert call.latency is not None


def test_a_call_that_failed_is_in_the_record_with_its_prompt(project, cases_of):
    project.rows("broken")
    project.test(SUITE)
    (case,) = cases_of("--dspex-live").values()
    assert case.outcome == "error"
    assert {call.source for call in case.facts.calls} == {"failed"}
    assert "Say broken" in case.facts.calls[0].messages[-1]["content"]


def test_parameters_are_data_that_is_the_same_in_every_process(pytester, cases_of, project):
    pytester.makepyfile(
        test_it="""
        import pytest

        class Strict: pass

        @pytest.mark.parametrize("model", ["x", Strict, object()])
        def test_it(model, score):
            score("accuracy", 1)
        """
    )
    assert [case.facts.params for case in cases_of().values()] == [
        {"model": "x"},
        {"model": "Strict"},
        {"model": "model2"},
    ]
