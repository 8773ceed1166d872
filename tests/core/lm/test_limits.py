"""Timeouts, rates, fallbacks and results: what bounds a call, and what happens at the bound."""

import asyncio
import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from openai_server import OpenAIServer, Reply

from dspex_core import (
    LM,
    BudgetExceededError,
    ConfigurationError,
    LMAuthError,
    LMServerError,
    LMTimeoutError,
    Predict,
    ResponseCache,
    ScriptedLM,
    context,
    track_usage,
)
from dspex_core.lm.call_result import CallResult
from dspex_core.lm.limits.rate_limit import RateLimiter
from dspex_core.lm.limits.timeouts import timeout_seconds
from dspex_core.spending.budget import Budget

MODEL = "openai/gpt-4o-mini"


@pytest.fixture(params=["sync", "async"])
def ask(request):
    if request.param == "sync":
        return lambda lm, prompt="hi", **config: lm(prompt, **config)
    return lambda lm, prompt="hi", **config: asyncio.run(lm.acall(prompt, **config))


@pytest.fixture
def other():
    with OpenAIServer(script=lambda _: "from the other") as server:
        yield server


def lm_at(server, model=MODEL, **arguments):
    return LM(model, api_base=server.base_url, **{"cache": False, "num_retries": 0, **arguments})


class TestTimeouts:
    @pytest.mark.parametrize(
        ("name", "seconds"), [("default", 120), ("ml_inference", 600), ("streaming", 1800), ("batch_job", 3600), (7, 7)]
    )
    def test_a_profile_is_a_number_of_seconds(self, name, seconds):
        assert timeout_seconds(name) == seconds

    @pytest.mark.parametrize("timeout", ["quick", 0, -1])
    def test_what_is_neither_is_refused_when_the_lm_is_made(self, timeout):
        with pytest.raises(ConfigurationError, match=r"'ml_inference', 'streaming', 'batch_job'"):
            LM(MODEL, timeout=timeout)

    @pytest.mark.parametrize("engine", ["direct", "litellm"])
    def test_one_call_can_have_its_own(self, server, ask, engine):
        server.replies.extend(["ok", Reply(fault="stall")])
        lm = lm_at(server, engine=engine, timeout="batch_job", api_key="k")
        ask(lm)  # LiteLLM takes its time for a first call
        with pytest.raises(LMTimeoutError):
            ask(lm, timeout=0.5)
        assert "timeout" not in server.requests[1].body

    def test_a_predictor_passes_it_on(self, server):
        server.replies.append(Reply(fault="stall"))
        with pytest.raises(LMTimeoutError, match=r"within 0\.2 seconds"):
            Predict("q -> a")(q="?", lm=lm_at(server), config={"timeout": 0.2})

    def test_it_makes_no_other_call_of_it(self, server, ask):
        lm = lm_at(server, cache=True)
        with context(cache=ResponseCache()):
            ask(lm), ask(lm, timeout=5), ask(lm, timeout="streaming")
        assert len(server.requests) == 1
        assert lm.history[-1].request.to_json() == {"messages": [{"role": "user", "content": "hi"}]}


class TestRates:
    def test_calls_of_threads_tasks_and_copies_are_spread_evenly(self):
        arrived, began = [], time.monotonic()
        with OpenAIServer(script=lambda _: arrived.append(time.monotonic()) or "ok") as server:
            lm = lm_at(server, requests_per_minute=60 / 0.05)
            copy = lm.copy(temperature=0.5)

            async def tasks():
                await asyncio.gather(*[copy.acall("hi") for _ in range(3)])

            with ThreadPoolExecutor(4) as pool:
                waiting = [pool.submit(lm, "hi") for _ in range(3)]
                waiting.append(pool.submit(asyncio.run, tasks()))
                for done in waiting:
                    done.result()
        assert len(arrived) == 6
        for turn, moment in enumerate(sorted(arrived)):
            assert moment >= began + turn * 0.05

    def test_turns_are_given_in_the_order_of_asking(self, monkeypatch):
        monkeypatch.setattr(time, "monotonic", lambda: 100.0)
        limiter = RateLimiter(60)
        waits = [limiter.turn().seconds for _ in range(3)]
        assert waits == [0, 1, 2]

    def test_cached_calls_do_not_wait(self, server):
        lm = lm_at(server, requests_per_minute=0.01, cache=True)
        with context(cache=ResponseCache()):
            assert [lm("hi") for _ in range(5)] == [["ok"]] * 5

    def test_a_copy_with_another_rate_has_its_own(self, server):
        lm = lm_at(server, requests_per_minute=0.01)
        fast = lm.copy(requests_per_minute=6000)
        lm("hi"), fast("hi"), fast("hi")

    def test_it_survives_pickling(self, server):
        lm = pickle.loads(pickle.dumps(lm_at(server, requests_per_minute=6000, fallbacks=["openai/b"])))
        assert lm("hi") == ["ok"]

    def test_a_rate_of_nothing_is_refused(self):
        with pytest.raises(ConfigurationError, match="requests_per_minute must be above 0, not 0"):
            LM(MODEL, requests_per_minute=0)


class TestFallbacks:
    @pytest.mark.parametrize("status", [400, 401, 402, 404, 429, 500])
    def test_the_next_lm_answers_whatever_the_failure(self, server, other, ask, caplog, status):
        server.replies.append(Reply(status=status))
        lm = lm_at(server, fallbacks=[lm_at(other, "openai/backup")])
        with track_usage() as usage:
            assert ask(lm) == ["from the other"]
        assert lm.history[-1].response.lm == "openai/backup"
        assert usage.by_model.keys() == {"openai/backup"}
        assert "asking the fallback LM('openai/backup')" in caplog.text

    def test_a_context_window_exceeded_is_worth_a_larger_model(self, server, other, ask):
        error = {"error": {"message": "too long", "code": "context_length_exceeded"}}
        server.replies.append(Reply(status=400, body=error))
        assert ask(lm_at(server, fallbacks=[lm_at(other)])) == ["from the other"]

    def test_a_missing_key_is_one_too(self, other, ask):
        assert ask(LM(MODEL, cache=False, fallbacks=[lm_at(other)])) == ["from the other"]

    def test_none_is_asked_when_the_first_answers(self, server, other, ask):
        lm = lm_at(server, fallbacks=[lm_at(other)])
        assert ask(lm) == ["ok"]
        assert (lm.history[-1].response.lm, other.requests) == (None, [])

    def test_when_all_fail_the_first_failure_is_raised_with_the_others_as_notes(self, server, other, ask):
        server.replies.append(Reply(status=401, body={"error": {"message": "no such key"}}))
        with OpenAIServer(Reply(status=500, body={"error": {"message": "on fire"}})) as burning:
            lm = lm_at(server, fallbacks=[lm_at(burning, "openai/b"), "nobody/c"])
            with pytest.raises(LMAuthError, match="no such key") as caught:
                ask(lm)
        assert "on fire" in caught.value.__notes__[0]
        assert "nobody" in caught.value.__notes__[1]

    def test_a_model_string_is_an_lm_with_the_same_settings_elsewhere(self, server, other, ask, monkeypatch):
        monkeypatch.setenv("HOSTED_VLLM_API_BASE", other.base_url)
        server.replies.append(Reply(status=500))
        lm = lm_at(server, api_key="sk-mine", temperature=0.2, fallbacks=["hosted_vllm/m"]).copy(temperature=0.7)
        assert ask(lm, max_tokens=5) == ["from the other"]
        (received,) = other.requests
        assert received.body["model"] == "m"
        assert (received.body["temperature"], received.body["max_tokens"]) == (0.7, 5)
        assert "authorization" not in received.headers

    def test_a_model_string_gets_no_headers_that_may_hold_a_key(self, server, other, ask, monkeypatch):
        monkeypatch.setenv("HOSTED_VLLM_API_BASE", other.base_url)
        server.replies.append(Reply(status=500))
        ask(lm_at(server, extra_headers={"x-key": "secret"}, fallbacks=["hosted_vllm/m"]))
        assert "secret" not in repr(other.requests)

    def test_an_lm_keeps_its_own_sampling_defaults(self, server, other, ask):
        server.replies.append(Reply(status=500))
        ask(lm_at(server, temperature=0.0, top_p=0.5, fallbacks=[lm_at(other, temperature=1.0)]), max_tokens=5)
        body = other.requests[0].body
        assert (body["temperature"], body["max_tokens"], "top_p" in body) == (1.0, 5, False)

    def test_its_answer_is_never_kept_as_the_first_ones(self, server, other, ask):
        server.replies.append(Reply(status=500))
        lm = lm_at(server, cache=True, fallbacks=[lm_at(other, "openai/backup", cache=True)])
        with context(cache=ResponseCache()):
            assert [ask(lm), ask(lm), ask(lm)] == [["from the other"], ["ok"], ["ok"]]
        assert (len(server.requests), len(other.requests)) == (2, 1)

    def test_any_lm_can_be_one(self, server, ask):
        server.replies.append(Reply(status=500))
        assert ask(lm_at(server, fallbacks=[ScriptedLM(["scripted"])])) == ["scripted"]


class TestTryCall:
    @pytest.fixture(params=["sync", "async"])
    def attempt(self, request):
        if request.param == "sync":
            return lambda lm, *args, **config: lm.try_call(*args, **config)
        return lambda lm, *args, **config: asyncio.run(lm.atry_call(*args, **config))

    def test_an_answer_is_a_result_that_is_ok(self, server, attempt):
        result = attempt(lm_at(server), "hi", n=2)
        assert (result.ok, result.texts, result.error) == (True, ["ok", "ok"], None)
        assert result.response.usage.total_tokens == 10

    def test_a_failure_is_a_result_with_the_error(self, server, attempt):
        server.replies.append(Reply(status=500))
        result = attempt(lm_at(server), messages=[{"role": "user", "content": "hi"}])
        assert (result.ok, result.texts, result.response) == (False, [], None)
        assert isinstance(result.error, LMServerError)

    def test_so_is_a_budget_that_is_spent(self, server, attempt):
        with context(budget=Budget(calls=0)):
            assert isinstance(attempt(lm_at(server), "hi").error, BudgetExceededError)

    def test_a_wrong_use_is_still_raised(self, server, attempt):
        with pytest.raises(ValueError, match="either a prompt or messages"):
            attempt(lm_at(server))

    def test_a_result_never_changes(self):
        with pytest.raises(AttributeError):
            CallResult().error = LMServerError("no")


class TestSeveralOutputsOfTheEmbeddedLM:
    def test_they_are_as_many_requests_with_their_outputs_joined(self, server, ask):
        server.replies.extend(["a", "b", "c"])
        lm = lm_at(server, "local/tiny")
        with track_usage() as usage:
            assert ask(lm, n=3, seed=5) == ["a", "b", "c"]
        assert [received.body.get("n") for received in server.requests] == [None] * 3
        assert [received.body["seed"] for received in server.requests] == [5, 6, 7]
        assert (usage.calls, usage.total.total_tokens) == (1, 30)

    def test_each_is_tried_again_by_itself(self, server, ask):
        server.replies.extend(["a", Reply(status=503, headers={"Retry-After": "0"}), "b"])
        assert ask(lm_at(server, "local/tiny", num_retries=1), n=2) == ["a", "b"]

    def test_they_are_kept_as_one_answer(self, server, ask):
        lm = lm_at(server, "local/tiny", cache=True)
        with context(cache=ResponseCache()):
            assert ask(lm, n=2) == ask(lm, n=2)
        assert len(server.requests) == 2
