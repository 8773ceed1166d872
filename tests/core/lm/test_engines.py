"""The contract of an engine, held by both; then what only the direct one promises."""

import asyncio
import email.utils
import gc
import logging
import socket
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from openai_server import OpenAIServer, Reply, completion

from dspex_core.errors import (
    ContextWindowExceededError,
    LMAuthError,
    LMBillingError,
    LMError,
    LMInvalidRequestError,
    LMRateLimitError,
    LMResponseError,
    LMServerError,
    LMTimeoutError,
    LMTransportError,
    LMUnsupportedFeatureError,
    LMUnsupportedModelError,
)
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.lm.client import LM
from dspex_core.messages import LMOutput, LMRequest, Message, ResponseSchema, Usage

MODEL = "openai/gpt-4o-mini"
HI = LMRequest((Message("user", "hi"),))


def ask(lm, request=HI, *, waiting="sync"):
    return lm.complete(request) if waiting == "sync" else asyncio.run(lm.acomplete(request))


@pytest.fixture(params=["direct", "litellm"])
def engine(request):
    return request.param


@pytest.fixture(params=["sync", "async"])
def waiting(request):
    return request.param


@pytest.fixture
def call(server, engine, waiting):
    """Make one try of a call with the engine and in the manner of waiting under test."""

    def call(request=HI, *, api_base=server.base_url, **arguments):
        arguments = {"timeout": 30.0, "api_key": "sk-test", **arguments}
        lm = LM(MODEL, api_base=api_base, cache=False, num_retries=0, engine=engine, **arguments)
        return ask(lm, request, waiting=waiting)

    return call


def script(server, *replies):
    server.replies.extend(replies)


class TestRequestAndReply:
    def test_it_sends_the_model_the_messages_and_the_config(self, call, server):
        messages = (Message("system", "be brief"), Message("user", "grüße, 世界 \U0001f600"))
        call(LMRequest(messages, {"temperature": 0.5, "max_tokens": 20, "stop": ["\n"]}))
        (received,) = server.requests
        assert received.path == "/v1/chat/completions"
        assert received.headers["authorization"] == "Bearer sk-test"
        assert received.body == {
            "model": "gpt-4o-mini",
            "messages": [message.to_json() for message in messages],
            "temperature": 0.5,
            "max_tokens": 20,
            "stop": ["\n"],
        }

    def test_it_returns_the_text_the_reason_the_model_and_the_tokens(self, call, server):
        script(server, "hello")
        response = call()
        assert response.outputs == (LMOutput("hello", "stop"),)
        assert (response.model, response.usage, response.cached) == ("gpt-4o-mini", Usage(7, 3), False)

    def test_it_returns_every_one_of_the_outputs_asked_for(self, call):
        assert len(call(LMRequest(HI.messages, {"n": 3})).outputs) == 3

    def test_null_content_is_an_empty_text(self, call, server):
        script(server, Reply(None))
        assert call().text == ""

    def test_reasoning_is_kept_apart_from_the_text(self, call, server):
        script(server, Reply(body=completion("4", reasoning_content="two and two")))
        (output,) = call().outputs
        assert (output.text, output.reasoning) == ("4", "two and two")

    def test_a_schema_is_sent_as_a_strict_response_format(self, call, server):
        schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
        call(LMRequest(HI.messages, response_schema=ResponseSchema("answer", schema)))
        (received,) = server.requests
        assert received.body["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": True},
        }

    def test_the_rollout_is_never_sent(self, call, server):
        call(LMRequest(HI.messages, rollout_id=7))
        assert "rollout_id" not in server.requests[0].body

    def test_a_body_in_chunks_is_read_whole(self, call, server):
        script(server, Reply("hello", chunked=True))
        assert call().text == "hello"

    def test_calls_at_once_each_get_their_own_reply(self, engine, waiting):
        requests = [LMRequest((Message("user", str(number)),)) for number in range(32)]
        with OpenAIServer(script=lambda body: f"re {body['messages'][0]['content']}") as server:
            lm = LM(MODEL, api_base=server.base_url, api_key="k", cache=False, engine=engine)
            if waiting == "sync":
                lm.complete(HI)  # at a first call from many threads LiteLLM makes a client for each, and forgets them
                with ThreadPoolExecutor(8) as pool:
                    responses = list(pool.map(lm.complete, requests))
            else:

                async def all_at_once():
                    return await asyncio.gather(*map(lm.acomplete, requests))

                responses = asyncio.run(all_at_once())
        assert [response.text for response in responses] == [f"re {number}" for number in range(32)]


def error_body(message, **fields):
    return {"error": {"message": message, **fields}}


REFUSALS = {
    "key refused": (Reply(status=401, body=error_body("bad key", code="invalid_api_key")), LMAuthError),
    "not allowed": (Reply(status=403, body=error_body("not yours")), LMAuthError),
    "no money": (Reply(status=402, body=error_body("pay first")), LMBillingError),
    "quota used up": (Reply(status=429, body=error_body("used up", code="insufficient_quota")), LMBillingError),
    "too many": (Reply(status=429, body=error_body("slow down", code="rate_limit_exceeded")), LMRateLimitError),
    "bad request": (Reply(status=400, body=error_body("no such parameter", code="x")), LMInvalidRequestError),
    "no such model": (Reply(status=404, body=error_body("what model?")), LMUnsupportedModelError),
    "unprocessable": (Reply(status=422, body=error_body("cannot do")), LMInvalidRequestError),
    "too long by code": (
        Reply(status=400, body=error_body("sorry", code="context_length_exceeded")),
        ContextWindowExceededError,
    ),
    "too long by message": (
        Reply(status=400, body=error_body("This model's maximum context length is 8 tokens")),
        ContextWindowExceededError,
    ),
    "request timeout": (Reply(status=408, body=error_body("waited")), LMTimeoutError),
    "gateway timeout": (Reply(status=504, body=b"<html>timeout</html>"), LMTimeoutError),
    "broken": (Reply(status=500, body=error_body("oops")), LMServerError),
    "overloaded": (Reply(status=503, body=b""), LMServerError),
}


class TestErrors:
    @pytest.mark.parametrize("refusal", REFUSALS)
    def test_a_refusal_is_typed_by_its_status_and_code(self, call, server, refusal):
        reply, kind = REFUSALS[refusal]
        script(server, reply)
        with pytest.raises(LMError) as caught:
            call()
        assert type(caught.value) is kind
        assert (caught.value.status, caught.value.model, caught.value.provider) == (reply.status, MODEL, "openai")
        assert len(server.requests) == 1

    def test_a_refusal_says_what_the_provider_said(self, call, server):
        headers = {"Retry-After": "2.5", "x-request-id": "req-1"}
        script(server, Reply(status=429, headers=headers, body=error_body("slow down", code="rate_limit_exceeded")))
        with pytest.raises(LMRateLimitError, match=r"\[openai/gpt-4o-mini\] slow down") as caught:
            call()
        error = caught.value
        assert (error.provider_code, error.request_id, error.retry_after) == ("rate_limit_exceeded", "req-1", 2.5)

    @pytest.mark.parametrize("fault", ["reset", "drop", "half_body"])
    def test_a_broken_connection_is_a_retryable_transport_error(self, call, server, fault):
        script(server, Reply(fault=fault))
        with pytest.raises(LMTransportError) as caught:
            call()
        assert caught.value.is_retryable
        assert len(server.requests) == 1

    def test_half_a_body_in_chunks_is_a_transport_error(self, call, server):
        script(server, Reply(fault="half_body", chunked=True))
        with pytest.raises(LMTransportError):
            call()

    def test_nobody_listening_is_a_transport_error(self, call):
        with socket.create_server(("127.0.0.1", 0)) as unused:
            address = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        with pytest.raises(LMTransportError):
            call(api_base=address)

    def test_no_reply_in_time_is_a_timeout(self, call, server):
        script(server, Reply(fault="stall"))
        with pytest.raises(LMTimeoutError) as caught:
            call(timeout=0.3)
        assert caught.value.is_retryable

    @pytest.mark.parametrize("body", [b"{not json", b"<html>hello</html>", {}, {"choices": []}])
    def test_a_reply_that_is_no_completion_is_a_response_error(self, call, server, body):
        script(server, Reply(body=body))
        with pytest.raises(LMResponseError) as caught:
            call()
        assert not caught.value.is_retryable

    def test_the_key_is_in_no_message(self, call, server):
        script(server, Reply(status=401, body=error_body("bad key")))
        with pytest.raises(LMAuthError) as caught:
            call(api_key="sk-very-secret")
        assert "sk-very-secret" not in str(caught.value)


def direct(server, model=MODEL, **arguments):
    return LM(model, api_base=server.base_url, cache=False, engine="direct", **{"num_retries": 0, **arguments})


class TestDirect:
    @pytest.mark.parametrize("headers", [{}, {"Connection": "close"}])
    def test_a_reply_that_trickles_does_not_outlast_the_timeout(self, server, waiting, headers):
        script(server, Reply("many words of a text " * 1000, fault="trickle", headers=headers))  # for many minutes
        with pytest.raises(LMTimeoutError, match=r"within 0\.3 seconds"):
            ask(direct(server, timeout=0.3), waiting=waiting)

    def test_all_lms_of_a_process_share_kept_alive_connections(self, server):
        for number in range(3):
            ask(direct(server, f"openai/model-{number}"))
        assert (len(server.requests), server.connections) == (3, 1)

    def test_all_tasks_of_an_event_loop_share_kept_alive_connections(self, server):
        async def one_after_another():
            for number in range(3):
                await direct(server, f"openai/model-{number}").acomplete(HI)

        asyncio.run(one_after_another())
        assert (len(server.requests), server.connections) == (3, 1)

    def test_a_kept_connection_that_breaks_under_a_request_is_an_error_that_may_be_retried_at_once(
        self, server, waiting
    ):
        lm = direct(server)
        script(server, "first", Reply(fault="drop"), "second")

        async def twice():
            await lm.acomplete(HI)
            await lm.acomplete(HI)

        with pytest.raises(LMTransportError) as caught:
            (ask(lm), ask(lm)) if waiting == "sync" else asyncio.run(twice())
        assert (caught.value.is_retryable, caught.value.retry_after) == (True, 0.0)
        assert len(server.requests) == 2

    def test_connections_closed_while_idle_do_not_fail_the_next_calls(self, server):
        lm = direct(server)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lm.complete, [HI] * 8))
            server.close_connections()
            assert {response.text for response in pool.map(lm.complete, [HI] * 8)} == {"ok"}

    def test_64_threads_find_room_in_the_pool(self, caplog):
        with OpenAIServer(script=lambda _: Reply(delay=0.05)) as server, ThreadPoolExecutor(64) as pool:
            lm = direct(server)
            with caplog.at_level(logging.WARNING):
                assert len(list(pool.map(lm.complete, [HI] * 128))) == 128
            assert 1 < server.connections <= 64
        assert not caplog.records

    def test_an_event_loop_takes_its_connections_with_it(self, server):
        lm = direct(server)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(3):
                asyncio.run(lm.acomplete(HI))
                gc.collect()
        assert [str(warning.message) for warning in caught] == []
        assert server.connections == 3

    def test_cancelled_calls_leave_nothing_behind(self, server):
        script(server, Reply(fault="stall"))

        async def give_up():
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(direct(server).acomplete(HI), 0.1)

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            asyncio.run(give_up())
            gc.collect()
        assert [str(warning.message) for warning in caught] == []

    def test_without_a_key_no_credentials_are_sent(self, server):
        ask(direct(server))
        assert "authorization" not in server.requests[0].headers

    def test_a_model_without_structured_outputs_is_not_sent_a_schema(self, server):
        request = LMRequest(HI.messages, response_schema=ResponseSchema("answer", {"type": "object"}))
        for model in ("openai/gpt-3.5-turbo", "openai/gpt-4-turbo", "deepseek/deepseek-chat"):
            ask(direct(server, model), request)
        assert not any("response_format" in received.body for received in server.requests)

    def test_reasoning_models_of_openai_get_the_limit_under_its_newer_name(self, server):
        request = LMRequest(HI.messages, {"max_tokens": 9})
        for model in ("openai/o3-mini", "openai/gpt-5", "openai/gpt-4o", "xai/o3"):
            ask(direct(server, model), request)
        names = [{"max_tokens", "max_completion_tokens"} & received.body.keys() for received in server.requests]
        assert names == [{"max_completion_tokens"}, {"max_completion_tokens"}, {"max_tokens"}, {"max_tokens"}]

    def test_text_that_has_no_utf8_form_is_sent_with_a_mark_in_its_place(self, server):
        ask(direct(server), LMRequest((Message("user", "a\ud800b"),)))
        assert server.requests[0].body["messages"][0]["content"] == "a?b"

    def test_a_cost_that_the_provider_says_is_kept(self, server):
        body = completion("ok")
        body["usage"]["cost"] = 0.25
        script(server, Reply(body=body))
        assert ask(direct(server)).cost == 0.25

    def test_an_error_inside_a_success_is_typed_by_its_code(self, server):
        script(server, Reply(body=error_body("upstream is full", code=429)))
        with pytest.raises(LMRateLimitError, match="upstream is full"):
            ask(direct(server))

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ({"error": "flat"}, "flat"),
            ({"detail": [{"loc": "x"}]}, '[{"loc": "x"}]'),
            ([{"error": {"message": "in a list"}}], "in a list"),
            ("bare", "bare"),
            (b"plain text", "plain text"),
            (b"", "400"),
        ],
    )
    def test_it_understands_the_forms_in_which_servers_explain_themselves(self, server, body, said):
        script(server, Reply(status=400, body=body))
        with pytest.raises(LMInvalidRequestError) as caught:
            ask(direct(server))
        assert said in caught.value.message

    @pytest.mark.parametrize(
        ("header", "least", "most"),
        [
            (email.utils.formatdate(time.time() + 3600, usegmt=True), 3000, 3600),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0),
            ("-3", 0, 0),
            ("soon", None, None),
        ],
        ids=["date", "past", "negative", "words"],  # the date differs in each worker of pytest-xdist
    )
    def test_retry_after_is_seconds_or_a_date(self, server, header, least, most):
        script(server, Reply(status=429, headers={"Retry-After": header}, body=b""))
        with pytest.raises(LMRateLimitError) as caught:
            ask(direct(server))
        after = caught.value.retry_after
        assert after is None if least is None else least <= after <= most

    def test_a_redirect_is_reported_and_not_followed(self, server, waiting):
        script(server, Reply(status=307, headers={"Location": "/elsewhere"}, body=b"moved"))
        with pytest.raises(LMInvalidRequestError, match="moved"):
            ask(direct(server), waiting=waiting)
        assert len(server.requests) == 1

    def test_a_proxy_of_the_environment_is_used_for_other_hosts(self, server, monkeypatch, waiting):
        monkeypatch.setenv("http_proxy", server.base_url.removesuffix("/v1"))
        lm = LM(MODEL, api_base="http://model.invalid/v1", cache=False, num_retries=0)
        assert ask(lm, waiting=waiting).text == "ok"
        assert server.requests[0].path == "http://model.invalid/v1/chat/completions"

    def test_a_proxy_of_the_environment_is_not_used_for_this_machine(self, server, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://proxy.invalid:9")
        assert ask(direct(server)).text == "ok"
        assert ask(LM(MODEL, api_base=server.base_url.replace("127.0.0.1", "localhost"), cache=False)).text == "ok"


class TestLiteLLM:
    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (b"", LMTransportError),
            ({"error": {"code": "429", "message": "slow down"}, "choices": None}, LMError),
            ({"error": 7}, LMError),
            ([], LMError),
            ({"choices": [{"message": {"content": [{"type": "text", "text": "x"}]}}]}, LMResponseError),
            ({"choices": [{"message": {"content": {"a": 1}}}]}, LMResponseError),
        ],
    )
    def test_a_reply_of_a_form_that_it_does_not_foresee_is_an_error_of_ours(self, server, body, kind, waiting):
        script(server, Reply(body=body, plain=True))
        lm = LM(MODEL, api_base=server.base_url, api_key="k", cache=False, engine="litellm", num_retries=0)
        with pytest.raises(kind):
            ask(lm, waiting=waiting)

    def test_an_event_loop_takes_its_clients_with_it_in_silence(self, server, capfd):
        lm = LM(MODEL, api_base=server.base_url, api_key="k", cache=False, engine="litellm")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ResourceWarning)
            for _ in range(3):
                asyncio.run(lm.acomplete(HI))
                gc.collect()
        assert [str(warning.message) for warning in caught] == []
        assert server.connections == 3
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize(("status", "kind"), [(400, LMInvalidRequestError), (401, LMAuthError)])
    def test_an_error_of_its_own_is_typed_by_its_status(self, monkeypatch, status, kind):
        with foreign_code():
            import litellm
            from litellm.llms.custom_llm import CustomLLM, CustomLLMError

        class Fails(CustomLLM):
            def completion(self, *args, **kwargs):
                raise CustomLLMError(status, "no such family")

        monkeypatch.setattr(litellm, "custom_provider_map", [{"provider": "mine", "custom_handler": Fails()}])
        with pytest.raises(kind, match="no such family"):
            ask(LM("mine/model", cache=False, num_retries=0))

    def test_a_parameter_that_the_provider_does_not_have_is_unsupported(self, server):
        lm = LM("anthropic/claude-3-5-haiku-20241022", api_base=server.base_url, api_key="k", cache=False)
        with pytest.raises(LMUnsupportedFeatureError, match="logit_bias"):
            ask(lm, LMRequest(HI.messages, {"logit_bias": {"1": 1}}))

    def test_the_cost_is_what_litellm_knows(self, server):
        lm = LM(MODEL, api_base=server.base_url, api_key="k", cache=False, engine="litellm")
        assert ask(lm).cost == pytest.approx(7 * 0.15e-6 + 3 * 0.6e-6)
        assert ask(lm, waiting="async").cost == pytest.approx(7 * 0.15e-6 + 3 * 0.6e-6)

    def test_a_schema_is_dropped_for_models_that_cannot_follow_it(self, server):
        lm = LM("openai/gpt-3.5-turbo", api_base=server.base_url, api_key="k", cache=False, engine="litellm")
        ask(lm, LMRequest(HI.messages, response_schema=ResponseSchema("answer", {"type": "object"})))
        assert "response_format" not in server.requests[0].body

    def test_a_server_of_ones_own_needs_no_key(self, server):
        lm = LM(MODEL, api_base=server.base_url, cache=False, engine="litellm")
        assert ask(lm).text == "ok"

    def test_it_prints_nothing_when_a_call_fails(self, server, capfd):
        script(server, Reply(status=400, body=error_body("no")))
        lm = LM(MODEL, api_base=server.base_url, api_key="k", cache=False, engine="litellm")
        with pytest.raises(LMInvalidRequestError):
            ask(lm)
        assert capfd.readouterr() == ("", "")
