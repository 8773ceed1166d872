"""Embedding calls go through cassettes as LM calls do, and no session's result depends on the machine's cache."""

import pytest
from openai_server import OpenAIServer, Reply

EMBEDS = """
    import os
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    import pytest
    from dspex_core import Embedder

    MODEL = "openai/text-embedding-3-small"
    WAYS = ["called", "in_thread", "awaited"]

    def embed(way, texts, **options):
        embedder = Embedder(MODEL, api_base=os.environ["EMBEDDINGS_URL"], api_key="sk-secret-key", **options)
        if way == "in_thread":
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(embedder, texts).result()
        if way == "awaited":
            import asyncio

            return asyncio.run(embedder.acall(texts))
        return embedder(texts)

    @pytest.mark.parametrize("way", WAYS)
    def test_embeds(way):
        rows = embed(way, ["one", "three", "one"], batch_size=2)
        assert rows.dtype == np.float32
        assert rows.tolist() == np.float32([[3, 0.1], [5, 0.1], [3, 0.1]]).tolist()
"""


def reply(body):
    if "input" not in body:
        return "ok"
    rows = [{"index": index, "embedding": [len(text), 0.1]} for index, text in enumerate(body["input"])]
    usage = {"prompt_tokens": len(rows), "total_tokens": len(rows)}
    return Reply(body={"data": rows, "model": body["model"], "usage": usage})


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("DSPEX_CACHE_DIR", str(tmp_path / "cache-of-the-laptop"))
    with OpenAIServer(script=reply) as server:
        monkeypatch.setenv("EMBEDDINGS_URL", server.base_url)
        yield server


def asked(server):
    return [text for request in server.requests for text in request.body["input"]]


def test_the_key_of_an_embedder_is_hidden_where_a_text_repeats_it(project, alone, server):
    for key, option in [("opaqueKey-4711", "--dspex-record=new"), ("otherKey-0815", "--dspex-record=none")]:
        project.test(
            f"""
            import os
            from dspex_core import Embedder

            def test_it():
                url = os.environ["EMBEDDINGS_URL"]
                Embedder("openai/text-embedding-3-small", api_base=url, api_key={key!r})(["my key is {key}"])
            """
        )
        alone(option).assert_outcomes(passed=1)
    assert "my key is [secret]" in project.cassette("test_it").read_text()
    assert "opaqueKey" not in project.cassette("test_it").read_text()


def test_they_are_recorded_text_by_text_and_replayed_to_the_last_bit(project, run, server):
    project.test(EMBEDS)
    run("--dspex-record=new").assert_outcomes(passed=3)
    entries = project.entries("test_embeds")
    texts = [entry["request"]["messages"][0]["content"] for entry in entries]
    assert sorted(texts) == ["one", "one", "one", "three", "three", "three"]
    assert {entry["request"]["kind"] for entry in entries} == {"embedding"}
    assert "sk-secret-key" not in project.cassette("test_embeds").read_text()
    server.requests.clear()
    result = run()
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*LM calls: 9 replayed*"])
    assert asked(server) == []


def test_the_cache_of_the_machine_does_not_hide_a_missing_recording(project, run, server):
    project.test(EMBEDS)
    run("--dspex-live").assert_outcomes(passed=3)
    server.requests.clear()
    result = run()
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["test_embeds[[]called] calls 'openai/text-embedding-3-small', and no call*"])
    assert asked(server) == []


def test_a_miss_shows_the_text_that_has_changed(project, alone, server):
    project.test(EMBEDS)
    alone("--dspex-record=new")
    project.test(EMBEDS.replace('"three"', '"seven"'))
    result = alone()
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["The nearest recorded request (-) differs from it (+):", "*-three", "*+seven"])


def test_functions_that_embed_are_not_recorded(project, alone):
    project.test(
        """
        from dspex_core import Embedder

        def test_it():
            assert Embedder(lambda texts: [[len(text)] for text in texts])("three").tolist() == [5]
        """
    )
    result = alone("--dspex-record=new")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*LM calls*")
    assert not project.cassette("test_it").exists()


ASKS_PAST_THE_CASSETTE = """
    import os

    import pytest
    from dspex_core import LM, LMRequest, Message, configure
    from dspex_core.lm.request_cache import Cache, current_cache

    @pytest.fixture
    def own_lm():
        return LM("openai/gpt-4o-mini", api_base=os.environ["EMBEDDINGS_URL"], api_key="k", temperature=0)

    def test_complete(own_lm):
        assert own_lm.complete(LMRequest((Message("user", "hello"),))).text == "ok"

    def test_complete_with_a_cache_of_its_own(own_lm):
        configure(cache=Cache())
        assert own_lm.complete(LMRequest((Message("user", "hello"),))).text == "ok"

    def test_values():
        found = current_cache().get({"kind": "value"})
        current_cache().put({"kind": "value"}, 1)
        assert found is None
"""


def test_a_replaying_session_reads_nothing_from_the_cache_of_the_machine(project, pytester, server):
    project.test(ASKS_PAST_THE_CASSETTE)
    pytester.runpytest_subprocess("--dspex-live").assert_outcomes(passed=3)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines(["*calls 'openai/gpt-4o-mini', and no call is recorded yet*"] * 2)
