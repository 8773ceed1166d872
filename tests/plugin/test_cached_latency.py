"""The latency of a reply that the session's cache gives is that of the call that was asked."""

import json

from openai_server import OpenAIServer, Reply

SUITE = """
    import pytest
    from dspex_core import LM

    @pytest.fixture(scope="session")
    def lm():
        return LM("openai/x", api_base="{url}", api_key="k", temperature=0.0, num_retries=0)

    @pytest.mark.dspex_gate("latency", max=100, stat="p95")
    @pytest.mark.parametrize("case", [1, 2, 3])
    def test_it(qa, case):
        assert qa(question="Say red").answer == "red"

    def test_plain():
        lm = LM("openai/x", api_base="{url}", api_key="k", temperature=0.0, num_retries=0)
        assert "red" in lm("Say red")[0]
"""


def test_cases_that_share_a_reply_have_one_latency_also_when_it_is_replayed(project, alone):
    with OpenAIServer(script=lambda request: Reply("[[ ## answer ## ]]\nred", delay=0.02)) as server:
        project.test(SUITE.replace("{url}", server.base_url))
        alone("--dspex-record=new", "--dspex-report=json:new.json").assert_outcomes(passed=5)
        assert len(server.requests) == 2
        alone("--dspex-report=json:replayed.json").assert_outcomes(passed=5)

    recorded, replayed = (json.loads((project.path / name).read_text()) for name in ("new.json", "replayed.json"))
    latencies = [case["spent"]["latency"] for case in recorded["suites"][0]["cases"]]
    assert latencies == [case["spent"]["latency"] for case in replayed["suites"][0]["cases"]]
    assert len(set(latencies)) == 1
    assert latencies[0] >= 0.02
    assert "latency" not in project.cassette("test_plain").read_text()
