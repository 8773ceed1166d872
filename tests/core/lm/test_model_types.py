"""Chat, text completions and responses: what is sent and what is read, by both engines."""

import asyncio

import pytest
from openai_server import Reply, completion, response, text_completion

from dspex_core.errors import LMRateLimitError, LMResponseError, LMUnsupportedFeatureError
from dspex_core.lm.client import LM
from dspex_core.lm.providers import locate
from dspex_core.messages import (
    FunctionCall,
    FunctionSpec,
    LMOutput,
    LMRequest,
    MediaPart,
    Message,
    ResponseSchema,
    TextPart,
    Usage,
)

MODEL = "openai/gpt-4o-mini"
TEXT_MODEL = "openai/gpt-3.5-turbo-instruct"  # for OpenAI's chat models LiteLLM asks for a chat
HI = LMRequest((Message("user", "hi"),))
WEATHER = FunctionSpec("weather", "Tell the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
ASKED = Message("assistant", "", (FunctionCall("weather", '{"city":"Oslo"}', "call_1"),))
TURNS = (Message("user", "hi"), ASKED, Message("tool", "rain", tool_call_id="call_1"))


@pytest.fixture(params=["direct", "litellm"])
def engine(request):
    return request.param


@pytest.fixture(params=["sync", "async"])
def waiting(request):
    return request.param


@pytest.fixture
def call(server, engine, waiting):
    """Make one call with the engine and in the manner of waiting under test."""

    def call(model_type, request=HI, model=None):
        model = model or (TEXT_MODEL if model_type == "text" else MODEL)
        given = {"cache": False, "num_retries": 0, "timeout": 30.0}
        lm = LM(model, model_type, api_base=server.base_url, api_key="k", engine=engine, **given)
        return lm.request(request) if waiting == "sync" else asyncio.run(lm.arequest(request))

    return call


def sent(server):
    return server.requests[-1].body


class TestChat:
    def test_functions_are_sent_and_calls_are_read(self, call, server):
        asked = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
        server.replies.append(Reply(body=completion(None, tool_calls=[asked])))
        (output,) = call("chat", LMRequest(HI.messages, tools=(WEATHER,))).outputs
        assert (output.text, output.tool_calls) == ("", ASKED.tool_calls)
        assert sent(server)["tools"] == [WEATHER.to_json()]

    def test_calls_and_their_results_are_sent_as_turns(self, call, server):
        call("chat", LMRequest(TURNS))
        assert sent(server)["messages"] == [turn.to_json() for turn in TURNS]


class TestText:
    def test_the_messages_are_one_prompt_with_dspys_mark_at_its_end(self, call, server):
        response = call("text", LMRequest((Message("system", "be brief"), Message("user", "hi")), {"max_tokens": 5}))
        assert server.requests[-1].path == "/v1/completions"
        assert sent(server) == {
            "model": "gpt-3.5-turbo-instruct",
            "prompt": "be brief\n\nhi\n\nBEGIN RESPONSE:",
            "max_tokens": 5,
        }
        assert response.outputs == (LMOutput("ok", "stop"),)
        assert (response.model, response.usage) == ("gpt-3.5-turbo-instruct", Usage(7, 3))

    def test_every_one_of_the_outputs_asked_for_is_returned(self, call):
        assert len(call("text", LMRequest(HI.messages, {"n": 3})).outputs) == 3

    def test_images_are_refused(self, call, server):
        image = MediaPart("image_url", {"url": "https://example.org/a.png"})
        with pytest.raises(LMUnsupportedFeatureError, match=r"takes no images.*model_type='chat'"):
            call("text", LMRequest((Message("user", (TextPart("what is it?"), image)),)))
        assert not server.requests

    def test_functions_are_refused(self, call, server):
        with pytest.raises(LMUnsupportedFeatureError, match="takes no functions to call"):
            call("text", LMRequest(HI.messages, tools=(WEATHER,)))
        assert not server.requests

    def test_no_choices_are_no_reply(self, call, server):
        server.replies.append(Reply(body={**text_completion("x"), "choices": []}))
        with pytest.raises(LMResponseError):
            call("text")


class TestResponses:
    def test_the_messages_are_items_and_the_limit_has_its_name_there(self, call, server):
        config = {"max_tokens": 50, "temperature": 0.5}
        response = call("responses", LMRequest((Message("system", "be brief"), Message("user", "hi")), config))
        assert server.requests[-1].path == "/v1/responses"
        assert sent(server) == {
            "model": "gpt-4o-mini",
            "input": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
            "max_output_tokens": 50,
            "temperature": 0.5,
        }
        assert response.outputs == (LMOutput("ok", "stop"),)
        assert (response.model, response.usage) == ("gpt-4o-mini", Usage(7, 3))

    def test_an_effort_also_asks_for_a_summary_of_the_reasoning(self, call, server):
        call("responses", LMRequest(HI.messages, {"reasoning_effort": "low"}), "openai/gpt-5")
        assert sent(server)["reasoning"] == {"effort": "low", "summary": "auto"}

    def test_functions_calls_and_results_have_forms_of_their_own(self, call, server):
        config = {"tool_choice": {"type": "function", "function": {"name": "weather"}}}
        call("responses", LMRequest(TURNS, config, tools=(WEATHER,)))
        assert sent(server)["input"] == [
            {"role": "user", "content": "hi"},
            {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Oslo"}'},
            {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
        ]
        (tool,) = sent(server)["tools"]
        function = WEATHER.to_json()["function"]
        assert {name: tool[name] for name in ("type", *function)} == {"type": "function", **function}
        assert sent(server)["tool_choice"] == {"type": "function", "name": "weather"}

    def test_images_and_files_have_forms_of_their_own(self, call, server):
        image = MediaPart("image_url", {"url": "https://example.org/a.png", "detail": "low"})
        file = MediaPart("file", {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"})
        call("responses", LMRequest((Message("user", (TextPart("see"), image, file)),)))
        assert sent(server)["input"][0]["content"] == [
            {"type": "input_text", "text": "see"},
            {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "low"},
            {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
        ]

    def test_a_schema_is_sent_as_the_format_of_the_text(self, call, server):
        schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
        call("responses", LMRequest(HI.messages, response_schema=ResponseSchema("answer", schema)))
        assert sent(server)["text"]["format"] == {
            "type": "json_schema",
            "name": "answer",
            "schema": schema,
            "strict": True,
        }

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"type": "json_object"}, {"type": "json_object"}),
            (
                {"type": "json_schema", "json_schema": {"name": "a", "schema": {}, "strict": True}},
                {"type": "json_schema", "name": "a", "schema": {}, "strict": True},
            ),
        ],
    )
    def test_a_response_format_of_a_chat_is_understood(self, call, server, given, expected):
        call("responses", LMRequest(HI.messages, {"response_format": given}))
        assert sent(server)["text"] == {"format": expected}

    def test_reasoning_and_calls_are_read_from_their_items(self, call, server):
        thoughts = [{"type": "summary_text", "text": "first"}, {"type": "summary_text", "text": "then"}]
        reasoning = {"type": "reasoning", "id": "rs_1", "summary": thoughts}
        asked = {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "weather",
            "arguments": '{"city":"Oslo"}',
            "status": "completed",
        }
        server.replies.append(Reply(body=response("so", None, reasoning, asked)))
        (output,) = call("responses").outputs
        assert output == LMOutput("so", "tool_calls", "first\n\nthen", ASKED.tool_calls)

    def test_a_reply_that_was_cut_says_so(self, call, server):
        cut = {**response("to be con"), "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        server.replies.append(Reply(body=cut))
        assert call("responses").outputs[0].finish_reason == "length"

    def test_several_outputs_are_asked_for_one_by_one(self, call, server):
        server.replies.extend(["one", "two"])
        answer = call("responses", LMRequest(HI.messages, {"n": 2}))
        assert ([output.text for output in answer.outputs], answer.usage) == (["one", "two"], Usage(14, 6))
        assert not any("n" in request.body for request in server.requests)

    def test_a_refusal_is_typed(self, call, server):
        server.replies.append(Reply(status=429, body={"error": {"message": "slow down"}}))
        with pytest.raises(LMRateLimitError, match="slow down"):
            call("responses")


def test_a_response_that_failed_is_typed_by_its_code(server):
    error = {"code": "rate_limit_exceeded", "message": "slow down"}
    server.replies.append(Reply(body={**response(""), "status": "failed", "error": error}))
    lm = LM(MODEL, "responses", api_base=server.base_url, cache=False, num_retries=0)
    with pytest.raises(LMRateLimitError, match="slow down"):
        lm("hi")


def test_an_assistants_parts_are_output_there(server):
    lm = LM(MODEL, "responses", api_base=server.base_url, cache=False)
    sound = MediaPart("input_audio", {"data": "AA==", "format": "wav"})
    lm.request(LMRequest((Message("user", (sound,)), Message("assistant", (TextPart("hm"),)), *HI.messages)))
    contents = [item["content"] for item in sent(server)["input"]]
    assert contents == [[sound.to_json()], [{"type": "output_text", "text": "hm"}], "hi"]


def test_answers_of_one_kind_of_api_are_not_another_kinds(server):
    server.replies.extend(["chat", "text", "responses"])
    lms = [LM(MODEL, kind, api_base=server.base_url) for kind in ("chat", "text", "responses")]
    assert [lm("hi") for lm in lms] == [lm("hi") for lm in lms] == [["chat"], ["text"], ["responses"]]
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("model", "model_type", "engine"),
    [
        ("local/smollm2-135m-instruct", "responses", "direct"),
        ("openai/gpt-4o", "responses", "direct"),
        ("ollama/llama3", "text", "direct"),
        ("groq/llama3", "text", "litellm"),
        ("groq/llama3", "responses", "litellm"),
        ("anthropic/claude", "responses", "litellm"),
    ],
)
def test_what_only_litellm_can_do_goes_there_by_itself(model, model_type, engine):
    assert locate(model, model_type).engine == engine


def test_the_direct_engine_says_which_apis_it_knows_of_a_provider(monkeypatch):
    lm = LM("groq/llama3", "text", engine="direct", cache=False)
    with pytest.raises(LMUnsupportedFeatureError, match=r"model_type='text' for groq.*litellm.*'chat'"):
        lm("hi")
    monkeypatch.setenv("DSPEX_LM_ENGINE", "direct")
    with pytest.raises(LMUnsupportedFeatureError):
        LM("groq/llama3", "responses", cache=False)("hi")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"model": "openai/gpt-4o"}, True),
        ({"model": "openai/gpt-4o", "model_type": "responses"}, True),
        ({"model": "openai/gpt-3.5-turbo-instruct", "model_type": "text"}, False),
        ({"model": "openai/qwen", "api_base": "http://localhost:1/v1"}, False),
        ({"model": "openai/qwen", "api_base": "http://localhost:1/v1", "supports_function_calling": True}, True),
        ({"model": "openai/gpt-4o", "supports_function_calling": False}, False),
        ({"model": "local/smollm2-135m-instruct"}, False),
        ({"model": "anthropic/claude"}, True),
        ({"model": "gpt-4o"}, False),
    ],
)
def test_whether_functions_may_be_offered_is_known_by_provider_unless_it_is_said(arguments, expected):
    lm = LM(**arguments)
    assert (lm.supports_function_calling, lm.copy(temperature=1).supports_function_calling) == (expected, expected)
