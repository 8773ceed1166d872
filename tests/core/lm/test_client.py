import asyncio
import copy
import pickle
import subprocess
import sys
import textwrap
import threading
import time
import types

import pytest
from openai_server import OpenAIServer, Reply

from dspex_core.config import context
from dspex_core.errors import (
    ConfigurationError,
    LMInvalidRequestError,
    LMNotConfiguredError,
    LMServerError,
    LMTransportError,
)
from dspex_core.lm.cache import ResponseCache
from dspex_core.lm.client import LM
from dspex_core.lm.providers import Endpoint, connect, locate
from dspex_core.messages import LMRequest, Message, ResponseSchema

MODEL = "openai/gpt-4o-mini"
HI = LMRequest((Message("user", "hi"),))
AT_ONCE = {"Retry-After": "0"}


@pytest.fixture(params=["sync", "async"])
def ask(request):
    if request.param == "sync":
        return lambda lm, asked=HI: lm.complete(asked)
    return lambda lm, asked=HI: asyncio.run(lm.acomplete(asked))


@pytest.fixture
def lm(server):
    return LM(MODEL, api_base=server.base_url, cache=False)


def test_making_an_lm_loads_no_http_client_and_asks_for_no_key():
    code = """
        import sys
        from dspex_core.lm.client import LM
        LM("openai/gpt-4o-mini"), LM("anthropic/claude"), LM("local/smollm2-135m-instruct"), LM("no slash")
        heavy = {"aiohttp", "litellm", "urllib3", "httpx", "platformdirs", "openai", "xllamacpp"}
        print(sorted(heavy & set(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_called_as_a_function_it_returns_texts(server):
    lm = LM(MODEL, api_base=server.base_url, temperature=0.3, max_tokens=7, top_p=0.9, cache=False)
    assert lm("hi", n=2) == ["ok", "ok"]
    assert asyncio.run(lm.acall(messages=[{"role": "user", "content": "ho"}])) == ["ok"]
    sent = {name: server.requests[0].body[name] for name in ("temperature", "max_tokens", "top_p", "n")}
    assert sent == {"temperature": 0.3, "max_tokens": 7, "top_p": 0.9, "n": 2}
    assert server.requests[1].body["messages"] == [{"role": "user", "content": "ho"}]


class TestNotConfigured:
    @pytest.mark.parametrize(("model", "engine"), [("gpt-4o", "direct"), ("no-such-model", "auto")])
    def test_a_model_without_a_provider(self, ask, model, engine):
        with pytest.raises(LMNotConfiguredError, match=rf"\[{model}\].*provider/model, such as 'openai/gpt-4o-mini'"):
            ask(LM(model, engine=engine))

    def test_a_missing_key(self, ask):
        with pytest.raises(LMNotConfiguredError, match="set OPENAI_API_KEY or give the LM an api_key"):
            ask(LM(MODEL))

    @pytest.mark.parametrize("model", [MODEL, "anthropic/claude-3-5-haiku-20241022"])
    def test_a_missing_key_with_litellm(self, ask, model):
        with pytest.raises(LMNotConfiguredError, match="_API_KEY"):
            ask(LM(model, engine="litellm"))

    def test_an_unknown_provider(self, ask):
        with pytest.raises(LMNotConfiguredError, match=r"(?s)\[nobody/nothing\].*api_base"):
            ask(LM("nobody/nothing"))

    def test_a_provider_that_the_direct_engine_does_not_know(self, ask):
        with pytest.raises(LMNotConfiguredError, match=r"does not know the provider 'anthropic'.*engine='litellm'"):
            ask(LM("anthropic/claude", engine="direct"))

    def test_a_missing_address(self, ask):
        with pytest.raises(LMNotConfiguredError, match="set HOSTED_VLLM_API_BASE or give the LM an api_base"):
            ask(LM("hosted_vllm/m"))

    def test_an_address_without_a_scheme(self, ask):
        with pytest.raises(LMNotConfiguredError, match="'localhost:8000/v1' must begin with http://"):
            ask(LM(MODEL, api_base="localhost:8000/v1"))

    def test_a_key_set_after_the_failure_is_found(self, monkeypatch):
        lm = LM(MODEL, cache=False, num_retries=0, timeout=5)
        with pytest.raises(LMNotConfiguredError):
            lm.complete(HI)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-later")
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody listens, so nothing leaves
        with pytest.raises(LMTransportError):
            lm.complete(HI)

    def test_an_engine_that_does_not_exist(self, monkeypatch):
        with pytest.raises(ConfigurationError, match="unknown engine 'fast'"):
            LM(MODEL, engine="fast")
        monkeypatch.setenv("DSPEX_LM_ENGINE", "quick")
        with pytest.raises(ConfigurationError, match="unknown engine 'quick'"):
            LM(MODEL).complete(HI)

    def test_a_kind_of_api_that_does_not_exist(self):
        with pytest.raises(ConfigurationError, match="unknown model_type 'images'"):
            LM(MODEL, "images")


class TestLocate:
    @pytest.mark.parametrize(
        ("model", "name", "base_url"),
        [
            (MODEL, "gpt-4o-mini", "https://api.openai.com/v1"),
            ("openrouter/meta/llama", "meta/llama", "https://openrouter.ai/api/v1"),
            ("groq/x", "x", "https://api.groq.com/openai/v1"),
            ("ollama/llama3.2", "llama3.2", "http://localhost:11434/v1"),
            ("ollama_chat/llama3.2", "llama3.2", "http://localhost:11434/v1"),
            ("fireworks_ai/llama", "accounts/fireworks/models/llama", "https://api.fireworks.ai/inference/v1"),
            ("fireworks_ai/accounts/me/models/m", "accounts/me/models/m", "https://api.fireworks.ai/inference/v1"),
        ],
    )
    def test_known_providers_are_direct_at_their_own_address(self, model, name, base_url):
        target = locate(model)
        assert (target.engine, target.name, target.base_url) == ("direct", name, base_url)

    @pytest.mark.parametrize(
        ("variable", "value", "model", "base_url"),
        [
            ("OPENAI_BASE_URL", "http://gate/v1/", MODEL, "http://gate/v1"),
            ("OPENAI_API_BASE", "http://gate/v1/chat/completions", MODEL, "http://gate/v1"),
            ("OLLAMA_API_BASE", "http://box:11434", "ollama/m", "http://box:11434/v1"),
            ("HOSTED_VLLM_API_BASE", "http://box:8000/v1", "hosted_vllm/m", "http://box:8000/v1"),
        ],
    )
    def test_the_environment_may_say_another_address(self, monkeypatch, variable, value, model, base_url):
        monkeypatch.setenv(variable, value)
        assert locate(model).base_url == base_url
        assert locate(model, api_base="http://mine/v1").base_url == "http://mine/v1"

    def test_an_address_makes_any_model_direct_under_its_whole_name(self):
        for model in ("meta-llama/Llama-3", "my-model"):
            target = locate(model, api_base="http://box/v1")
            assert (target.engine, target.name, target.base_url) == ("direct", model, "http://box/v1")

    def test_an_address_does_not_make_a_provider_with_another_format_direct(self):
        assert locate("azure/gpt-4o", api_base="https://mine.openai.azure.com").engine == "litellm"
        assert locate("azure/gpt-4o", api_base="https://mine/v1", engine="direct").engine == "direct"

    def test_all_others_go_through_litellm(self):
        assert locate("anthropic/claude").engine == "litellm"

    def test_the_engine_may_be_chosen_by_argument_and_else_by_the_environment(self, monkeypatch):
        monkeypatch.setenv("DSPEX_LM_ENGINE", "litellm")
        assert locate(MODEL).engine == "litellm"
        assert locate(MODEL, engine="direct").engine == "direct"

    def test_the_key_is_the_argument_or_the_first_variable_that_is_set(self, monkeypatch):
        monkeypatch.setenv("TOGETHER_API_KEY", "second")
        assert connect(locate("together_ai/m"), api_key=None).api_key == "second"
        monkeypatch.setenv("TOGETHERAI_API_KEY", "first")
        assert connect(locate("together_ai/m"), api_key=None).api_key == "first"
        assert connect(locate("together_ai/m"), api_key="own").api_key == "own"

    def test_no_repr_shows_the_key(self):
        endpoint = connect(locate(MODEL), api_key="sk-secret")
        assert isinstance(endpoint, Endpoint)
        assert "sk-secret" not in repr(endpoint)
        assert "sk-secret" not in repr(LM(MODEL, api_key="sk-secret"))


class TestLocal:
    @pytest.fixture(autouse=True)
    def _served(self, server, monkeypatch):
        """Let the test's server stand in for llama.cpp: the weights are too big for a unit test."""
        self.served = []
        module = types.ModuleType("dspex_core.lm.embedded.server")
        module.serve = lambda model: self.served.append(model) or server.base_url
        monkeypatch.setitem(sys.modules, "dspex_core.lm.embedded.server", module)

    @pytest.mark.parametrize("engine", ["direct", "litellm"])
    def test_it_is_served_at_the_first_call_and_held_to_the_schema(self, server, ask, engine):
        lm = LM("local/tiny", cache=False, engine=engine)
        assert self.served == []
        request = LMRequest(HI.messages, response_schema=ResponseSchema("answer", {"type": "object"}))
        assert ask(lm, request).text == "ok"
        assert self.served == ["tiny"]
        assert server.requests[0].body["model"] == "tiny"
        assert server.requests[0].body["response_format"]["type"] == "json_schema"

    def test_a_cached_answer_does_not_start_it(self, ask):
        with context(cache=ResponseCache()):
            ask(LM("local/tiny"))
            assert ask(LM("local/tiny")).cached
        assert self.served == ["tiny"]

    def test_other_weights_give_other_answers(self, ask, monkeypatch):
        with context(cache=ResponseCache()):
            ask(LM("local/tiny"))
            monkeypatch.setenv("DSPEX_LOCAL_MODEL", "/other.gguf")
            assert not ask(LM("local/tiny")).cached

    def test_an_address_of_ones_own_serves_it_instead(self, server, ask):
        assert ask(LM("local/tiny", api_base=server.base_url, cache=False)).text == "ok"
        assert self.served == []

    def test_it_prefers_json(self):
        assert (LM("local/tiny").preferred_adapter, LM(MODEL).preferred_adapter) == ("json", "chat")


class TestRetries:
    def test_failures_that_may_pass_are_tried_again(self, server, lm, ask):
        server.replies.extend([Reply(status=503, headers=AT_ONCE), Reply(status=429, headers=AT_ONCE), "at last"])
        assert ask(lm).text == "at last"
        assert len(server.requests) == 3

    def test_after_num_retries_the_last_failure_is_raised(self, server, ask):
        server.replies.extend([Reply(status=500, headers=AT_ONCE)] * 5)
        lm = LM(MODEL, api_base=server.base_url, cache=False, num_retries=2)
        with pytest.raises(LMServerError):
            ask(lm)
        assert len(server.requests) == 3

    def test_other_failures_are_not(self, server, lm, ask):
        server.replies.append(Reply(status=400, headers=AT_ONCE))
        with pytest.raises(LMInvalidRequestError):
            ask(lm)
        assert len(server.requests) == 1

    def test_it_waits_as_long_as_the_provider_asks(self, server, lm, ask):
        server.replies.append(Reply(status=429, headers={"Retry-After": "0.25"}))
        started = time.monotonic()
        ask(lm)
        assert time.monotonic() - started >= 0.25

    def test_else_ever_longer_but_never_in_step_and_never_for_long(self, server, monkeypatch):
        slept, real, here = [], time.sleep, threading.get_ident()

        def sleep(seconds):  # other threads, such as one that an earlier test has left behind, sleep as ever
            (slept.append if threading.get_ident() == here else real)(seconds)

        monkeypatch.setattr(time, "sleep", sleep)
        server.replies.extend([Reply(status=500)] * 12)
        server.replies.append(Reply(status=429, headers={"Retry-After": "86400"}))
        LM(MODEL, api_base=server.base_url, cache=False, num_retries=20).complete(HI)
        ceilings = [min(0.5 * 2**attempt, 60) for attempt in range(12)]
        assert all(ceiling / 2 <= pause <= ceiling for pause, ceiling in zip(slept, ceilings, strict=False))
        assert len(set(slept[8:12])) > 1
        assert slept[12:] == [60]

    def test_other_tasks_run_while_one_waits_to_try_again(self, server, lm):
        server.replies.append(Reply(status=503, headers={"Retry-After": "0.3"}))

        async def both():
            waiting = asyncio.create_task(lm.acomplete(HI))
            await asyncio.sleep(0.15)
            first = await lm.acomplete(LMRequest((Message("user", "other"),)))
            return first.text, waiting.done(), (await waiting).text

        assert asyncio.run(both()) == ("ok", False, "ok")


class TestCaching:
    def test_an_equal_call_is_answered_from_the_cache_of_the_settings(self, server, ask):
        lm = LM(MODEL, api_base=server.base_url)
        with context(cache=ResponseCache()):
            first, second = ask(lm), ask(lm)
        assert (first.cached, second.cached, second.text, second.usage) == (False, True, first.text, first.usage)
        assert second.cost == 0.0
        assert len(server.requests) == 1

    def test_by_default_the_cache_is_shared_through_a_file(self, server, ask, tmp_path):
        ask(LM(MODEL, api_base=server.base_url))
        assert (tmp_path / "cache" / "responses.sqlite").exists()
        assert ask(LM(MODEL, api_base=server.base_url)).cached

    def test_it_can_be_left_out_for_an_lm_or_for_a_call(self, server, lm, ask):
        with context(cache=ResponseCache()):
            ask(lm), ask(lm)
            caching = LM(MODEL, api_base=server.base_url)
            ask(caching), ask(caching, LMRequest(HI.messages, {"cache": False}))
        assert len(server.requests) == 4
        assert not any("cache" in received.body for received in server.requests)

    def test_what_makes_a_difference_is_in_the_key(self, server):
        requests = [
            HI,
            LMRequest((Message("user", "ho"),)),
            LMRequest(HI.messages, {"temperature": 1.0}),
            LMRequest(HI.messages, rollout_id=1),
            LMRequest(HI.messages, response_schema=ResponseSchema("a", {})),
        ]
        with context(cache=ResponseCache()), OpenAIServer() as other:
            for request in requests:
                LM(MODEL, api_base=server.base_url).complete(request)
            LM("openai/gpt-4o", api_base=server.base_url).complete(HI)
            LM(MODEL, api_base=other.base_url).complete(HI)
            LM(MODEL, api_base=server.base_url, api_key="another").complete(HI)
            assert (len(server.requests), len(other.requests)) == (6, 1)

    def test_a_cached_answer_needs_no_key(self, monkeypatch, server):
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        with context(cache=ResponseCache()):
            LM(MODEL, api_key="k").complete(HI)
            assert LM(MODEL).complete(HI).cached

    def test_equal_calls_at_once_are_one_request(self):
        with OpenAIServer(script=lambda _: Reply(delay=0.1)) as server, context(cache=ResponseCache()):
            lm = LM(MODEL, api_base=server.base_url)

            async def eight():
                return await asyncio.gather(*[lm.acomplete(HI) for _ in range(8)])

            responses = asyncio.run(eight())
            assert {response.text for response in responses} == {"ok"}
            assert sum(not response.cached for response in responses) == 1
            assert len(server.requests) == 1

    def test_failures_are_not_kept(self, server, ask):
        lm = LM(MODEL, api_base=server.base_url, num_retries=0)
        server.replies.append(Reply(fault="reset"))
        with context(cache=ResponseCache()):
            with pytest.raises(LMTransportError):
                ask(lm)
            assert ask(lm).text == "ok"

    def test_a_hit_is_cheap(self, server):
        lm = LM(MODEL, api_base=server.base_url)
        with context(cache=ResponseCache()):
            lm.complete(HI)
            assert 0 < python_calls(lambda: lm.complete(HI)) <= 30


def python_calls(function):
    """Count the Python functions that a call enters: it costs as much on any machine."""
    events = []
    sys.setprofile(lambda frame, event, _argument: events.append(frame.f_code) if event == "call" else None)
    try:
        function()
    finally:
        sys.setprofile(None)
    return len(events)


class TestCopies:
    def test_a_copy_has_other_arguments_and_an_empty_history(self, server):
        lm = LM(MODEL, temperature=0.5, api_base=server.base_url, cache=False)
        lm("hi")
        other = lm.copy(temperature=1.0, num_retries=0, top_p=0.5)
        assert (other.config, other.num_retries, len(other.history)) == ({"temperature": 1.0, "top_p": 0.5}, 0, 0)
        assert (lm.config, lm.num_retries, len(lm.history)) == ({"temperature": 0.5}, 3, 1)
        assert other("hi") == ["ok"]

    def test_a_copy_with_a_rollout_of_its_own_asks_anew_and_does_not_send_it(self, server):
        lm = LM(MODEL, api_base=server.base_url)
        with context(cache=ResponseCache()):
            for _ in range(2):
                lm("hi")
                lm.copy(rollout_id=1)("hi")
                lm.copy(rollout_id=1)("hi", rollout_id=2)
        assert len(server.requests) == 3
        assert not any("rollout_id" in received.body for received in server.requests)

    def test_a_copy_may_be_of_another_model(self, server, lm):
        lm.complete(HI)
        lm.copy(model="openai/other").complete(HI)
        assert [received.body["model"] for received in server.requests] == ["gpt-4o-mini", "other"]

    def test_a_copy_of_a_subclass_is_one_too(self):
        class Own(LM):
            def __init__(self, extra):
                super().__init__(MODEL)
                self.extra = extra

        own = Own("kept").copy(temperature=1.0)
        assert (type(own), own.extra, own.config) == (Own, "kept", {"temperature": 1.0})

    def test_it_travels_to_other_processes(self, server, lm):
        lm.complete(HI)
        arrived = pickle.loads(pickle.dumps(lm))
        assert arrived.complete(HI).text == "ok"

    def test_programs_that_are_copied_share_it(self, lm):
        assert copy.deepcopy(lm) is lm

    def test_its_state_is_the_model_and_the_config_only(self):
        lm = LM(MODEL, temperature=0.0, api_key="sk-secret", api_base="http://private/v1")
        arguments = {"model_type": "chat", "cache": True, "num_retries": 3}
        assert lm.dump_state() == {"model": MODEL, "temperature": 0.0, **arguments}


@pytest.mark.parametrize(("given", "sent"), [({}, 1000), ({"max_tokens": 5}, 5)])
def test_a_reply_of_a_local_model_has_a_limit(server, monkeypatch, given, sent):
    monkeypatch.setenv("DSPEX_LOCAL_SERVER", server.base_url)
    LM("local/smollm2-135m-instruct", cache=False, **given)("hi")
    assert server.requests[-1].body["max_tokens"] == sent
