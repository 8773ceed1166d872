"""Calls past the usual way into an LM: `complete` is recorded, and a block without a recorder is refused."""

import pytest
from openai_server import OpenAIServer

DIRECT = """
    import asyncio

    import pytest
    from dspex_core import LM, LMRequest, Message

    REQUEST = LMRequest((Message("user", "Say red"),), {"temperature": 0.0})

    def ask(lm):
        return lm.complete(REQUEST)

    def aask(lm):
        return asyncio.run(lm.acomplete(REQUEST))

    @pytest.mark.parametrize("way", [ask, aask])
    def test_it(way, score):
        lm = LM("openai/x", api_base="{url}", api_key="k", num_retries=0, cache=False)
        assert way(lm).text == "red"
"""


def test_a_direct_call_of_complete_is_recorded_and_replayed(project, run):
    with OpenAIServer(script=lambda request: "red") as server:
        project.test(DIRECT.replace("{url}", server.base_url))
        run().assert_outcomes(failed=2)
        assert server.requests == []
        run("--dspex-record=new").assert_outcomes(passed=2)
        assert len(server.requests) == 2
        run().assert_outcomes(passed=2)
        assert len(server.requests) == 2
    assert [entry["model"] for entry in project.entries("test_it")] == ["openai/x"] * 2


@pytest.mark.parametrize("option", ["--dspex-record=none", "--dspex-record=new"])
def test_a_call_in_a_block_without_a_recorder_is_refused_at_once_also_while_recording(project, alone, option):
    project.test("""
        import contextlib

        import httpx
        from dspex_core import Embedder, context

        def test_program(qa):
            with context(recorder=None):
                qa(question="Say red")

        def test_http():
            with contextlib.suppress(Exception), context(recorder=None):
                httpx.post("http://127.0.0.1:9/v1/chat/completions", json={"model": "x", "messages": []})

        def test_embeddings():
            with contextlib.suppress(Exception), context(recorder=None):
                Embedder("openai/x", api_base="http://127.0.0.1:9/v1", api_key="k", num_retries=0)(["red"])
    """)

    result = alone(option)

    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["*a call to 'test/echo' was refused*"])
    assert project.calls == []


def test_a_live_session_refuses_neither(project, alone):
    project.test("""
        from dspex_core import context

        def test_it(qa):
            with context(recorder=None):
                assert qa(question="Say red").answer == "red"
    """)

    alone("--dspex-live").assert_outcomes(passed=1)
    assert project.calls == ["Say red"]
