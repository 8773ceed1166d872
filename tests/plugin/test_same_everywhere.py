"""Sessions of one suite leave the same behind: alone and on workers, in order and shuffled."""

import json

import pytest
from openai_server import OpenAIServer
from whole_suite import Model, left_behind, write_suite

from pytest_dspex.cassettes.entry import line_of
from pytest_dspex.cassettes.exchange import HTTPRequest
from pytest_dspex.cassettes.lanes import in_program_order
from pytest_dspex.cassettes.layout import read_cassette


class Suite:
    def __init__(self, pytester, monkeypatch, server, model):
        self.path, self.server, self.model = pytester.path, server, model
        self._monkeypatch = monkeypatch
        write_suite(self.path)

    def session(self, run, *options, order=None):
        """What a session leaves behind, its exit status included."""
        report = self.path / "report.json"
        report.unlink(missing_ok=True)
        if order is not None:
            self._monkeypatch.setenv("SUITE_ORDER", str(order))
        result = run(f"--dspex-report=json:{report}", *options)
        self._monkeypatch.delenv("SUITE_ORDER", raising=False)
        return {"exit status": str(result.ret), **left_behind(self.path, report, asks=bool(options))}

    def forget(self):
        for path in self.path.rglob("cassettes/**/*.jsonl"):
            path.unlink()


@pytest.fixture
def suite(pytester, monkeypatch):
    model = Model(delay=0.005)
    with OpenAIServer(script=model) as server:
        monkeypatch.setenv("SUITE_SERVER", server.base_url)
        yield Suite(pytester, monkeypatch, server, model)


def test_recordings_and_their_reports_are_equal_alone_and_on_workers_in_any_order(suite, alone, on_two_workers):
    recorded = suite.session(alone, "--dspex-record=new", order=1)
    assert len(recorded) > 20, "the suite records in many cassettes"
    suite.forget()
    assert suite.session(on_two_workers, "--dspex-record=new") == recorded


def test_replays_report_the_same_in_any_order(suite, alone):
    suite.model.number_samples(numbers=True)  # a call that gets the reply of another one shows
    suite.session(alone, "--dspex-record=new")
    suite.server.requests.clear()
    replayed = suite.session(alone)
    assert '"source": "replayed"' in replayed["report"]
    assert suite.session(alone, order=2) == replayed
    assert suite.server.requests == []


def test_a_cassette_whose_equal_http_requests_have_numbers_in_their_keys_is_replayed(suite, alone, pytester):
    suite.model.number_samples(numbers=True)
    suite.session(alone, "--dspex-record=new", "-k", "test_http and not _in_")
    [path] = suite.path.rglob("cassettes/*/test_http.jsonl")
    entries = sorted(read_cassette(path).entries.values(), key=lambda entry: entry.number)
    assert [entry.number for entry in entries] == [0, 1, 2]
    numbered = [
        {**entry.to_json(), "key": HTTPRequest(**entry.request).key(entry.case, entry.number)} for entry in entries
    ]
    path.write_text("".join(f"{line_of(entry)}\n" for entry in numbered))
    suite.server.requests.clear()
    replayed = suite.session(alone, "-k", "test_http and not _in_")
    assert suite.server.requests == []
    [found] = [each for each in json.loads(replayed["report"])["suites"] if each["test"].endswith("::test_http")]
    assert [found["cases"][0]["scores"][f"answer-{place}"]["value"] for place in range(3)] == [0.001, 0.002, 0.003]


def test_calls_at_once_are_in_the_order_of_the_program_between_those_of_its_own_thread():
    lanes = {0: (), 1: ("pool", "2"), 2: ("pool", "10"), 3: ("pool", "1"), 4: (), 5: ("t2",), 6: ("ahead",), 7: ()}
    assert in_program_order(lanes) == [6, 0, 3, 1, 2, 4, 5, 7]
    assert in_program_order({0: ("b",), 1: ("a",), 2: ("a",)}) == [1, 2, 0]
