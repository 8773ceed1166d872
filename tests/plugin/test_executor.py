"""Sessions whose programs run in the workers of a Dask cluster."""

import json
import logging
import re
import sys

import pytest

distributed = pytest.importorskip("distributed")

SUITE = """
    import pytest
    from dspex_core import Example

    @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
    def test_rows(example, prediction):
        assert prediction.answer == example.answer

    def test_whole(qa, evaluate):
        result = evaluate(qa, "data.jsonl", metric=lambda row, made, trace=None: made.answer == row.answer)
        assert result >= 1.0
        assert [case.usage.calls for case in result.cases] == [1, 1]
"""


@pytest.fixture(scope="module")
def address():
    options = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None, "silence_logs": logging.CRITICAL}
    with distributed.LocalCluster(**options) as cluster:
        yield cluster.scheduler_address.replace("tcp://", "dask://")


def test_programs_run_in_workers_and_their_calls_are_recorded_and_replayed(project, pytester, address):
    project.rows("red", "blue")
    project.test(SUITE)
    recorded = pytester.runpytest_inprocess(f"--dspex-executor={address}", "--dspex-record=new")
    recorded.assert_outcomes(passed=3)
    assert sorted(project.calls) == ["Say blue", "Say blue", "Say red", "Say red"]
    assert len(project.entries("test_rows")) == len(project.entries("test_whole")) == 2
    project.forget_calls()

    away = pytester.runpytest_inprocess(f"--dspex-executor={address}", "--dspex-report=json:away.json")
    away.assert_outcomes(passed=3)
    away.stdout.fnmatch_lines(["*4 replayed*"])
    home = pytester.runpytest_inprocess("--dspex-report=json:home.json")
    home.assert_outcomes(passed=3)
    assert project.calls == []
    assert without_times(pytester.path / "away.json") == without_times(pytester.path / "home.json")


def without_times(path):
    """Read a report without what differs between two runs: times, and the order of simultaneous calls."""
    text = re.sub(r'"(\w*(duration|latency|seconds|time)\w*)": [\d.e-]+', r'"\1": 0', path.read_text())
    document = json.loads(text)
    document.pop("session", None)
    for suite in document["suites"]:
        for case in suite["cases"]:
            case["calls"].sort(key=json.dumps)
    return document


def test_a_call_in_a_worker_that_is_not_recorded_is_a_miss_of_its_test(project, pytester, address):
    project.rows("red")
    project.test(SUITE)
    result = pytester.runpytest_inprocess(f"--dspex-executor={address}")
    result.assert_outcomes(failed=1, errors=1)
    result.stdout.fnmatch_lines(["*no call is recorded yet*"])
    assert project.calls == []


def test_a_cluster_that_is_not_there_is_one_message(project, pytester, monkeypatch):
    project.rows("red")
    project.test(SUITE)
    wrong = pytester.runpytest_inprocess("--dspex-executor=tcp://127.0.0.1:1")
    assert wrong.ret == pytest.ExitCode.USAGE_ERROR
    wrong.stderr.fnmatch_lines(["*--dspex-executor is 'tcp://127.0.0.1:1'; give the scheduler*dask://HOST:PORT"])


def test_a_session_without_dask_says_once_which_extra_it_needs(pytester, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    pytester.makepyfile("def test_one(): pass\ndef test_two(): pass")

    result = pytester.runpytest_inprocess("--dspex-executor=dask://127.0.0.1:1")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.str().count("pip install 'pytest-dspex[distributed]'") == 1
