"""Requests and replies as cassettes keep them, and which of them go to a language model."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_dspex.cassettes.exchange import HTTPReply, request_of
from pytest_dspex.cassettes.http_calls import as_request, as_response
from pytest_dspex.cassettes.lm_hosts import LMHosts, check_hosts, hosts_of
from pytest_dspex.running.trace import Trace, spent_by

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.binary() | JSON.map(lambda data: json.dumps(data).encode()))
def test_a_reply_is_read_as_it_was_stored(body):
    reply = HTTPReply(200, {"content-type": "x"}, body)
    again = HTTPReply.from_json(json.loads(json.dumps(reply.to_json())))
    assert again.status == 200
    try:
        assert json.loads(again.body) == json.loads(body)
    except ValueError:
        assert again.body == body


@given(JSON, st.permutations(["a", "b", "c"]))
def test_json_is_compared_as_json(data, order):
    body = dict.fromkeys(sorted(order), data)
    one = request_of("post", "https://x.org/v1?b=2&a=1", headers=(), body=json.dumps(body).encode())
    two = request_of(
        "POST",
        "HTTPS://user:pass@X.org:443/v1?a=1&b=2#part",
        headers=[("Authorization", "Bearer of any kind")],
        body=json.dumps({name: body[name] for name in order}, indent=3),
    )
    assert (one.key("c", 0), one) == (two.key("c", 0), two)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.0.0.2"])
@given(st.integers(32_768, 65_535), st.integers(32_768, 65_535))
def test_a_port_that_the_system_chose_for_a_server_of_this_machine_does_not_count(host, before, after):
    one, two = (request_of("POST", f"http://{host}:{port}/v1/x?b=1", headers=(), body=b"") for port in (before, after))
    assert one == two
    assert one.url == f"http://{host}/v1/x?b=1"


@pytest.mark.parametrize("server", ["127.0.0.1:11434", "localhost:8000", "example.org:40000", "10.0.0.1:40000"])
def test_a_port_that_somebody_chose_counts(server):
    assert request_of("POST", f"http://{server}/v1/x", headers=(), body=b"").url == f"http://{server}/v1/x"


@pytest.mark.parametrize("port", ["99999", "abc", "-5"])
def test_a_wrong_port_stays_for_the_client_to_refuse(port):
    for host in ("127.0.0.1", "[::1]", "example.org"):
        url = f"http://{host}:{port}/v1"
        assert request_of("POST", url, headers=(), body=b"").url == url


@given(
    st.sampled_from(["method", "url", "body", "case", "number"]),
    st.sampled_from([b"", b"text", b'{"a": 1}', b"\xff\x00"]),
)
def test_each_part_of_a_request_counts(part, body):
    parts = {"method": "POST", "url": "https://x.org/v1", "body": body, "case": "c", "number": 0}
    other = parts | {"method": "PUT", "url": "https://x.org/v2", "body": b"other", "case": "d", "number": 1}

    def key(values):
        request = request_of(values["method"], values["url"], headers=(), body=values["body"])
        return request.key(values["case"], values["number"])

    assert key(parts) != key({**parts, part: other[part]})


def test_a_random_boundary_does_not_count():
    def sent(boundary):
        body = f"--{boundary}\r\nfile\r\n--{boundary}--".encode()
        headers = [("Content-Type", f"multipart/form-data; boundary={boundary}")]
        return request_of("POST", "https://x.org", headers=headers, body=body)

    assert sent("a1b2c3") == sent("x9y8z7")


def test_pieces_of_text_in_log_probabilities_are_no_credentials():
    data = {"logprobs": [{"token": " Paris", "logprob": -0.1}], "auth_token": "abc", "usage": {"token": 3}}
    clean = HTTPReply(200, {}, json.dumps(data).encode()).without(())
    assert json.loads(clean.body) == {**data, "auth_token": "[secret]"}


PROMPT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("method", "url", "body", "expected"),
    [
        ("GET", "https://api.openai.com/v1/models", None, True),
        ("POST", "https://api.anthropic.com/v1/messages", PROMPT, True),
        ("POST", "https://my-name.openai.azure.com/openai/deployments/d/chat/completions", PROMPT, True),
        ("POST", "https://europe-west4-aiplatform.googleapis.com/v1/x:predict", {}, True),
        ("POST", "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse", {}, True),
        ("POST", "http://127.0.0.1:8000/v1/chat/completions", {"messages": []}, True),
        ("POST", "http://10.0.0.7/v1beta/models/g:streamGenerateContent?alt=sse", {"contents": []}, True),
        ("POST", "http://localhost:11434/api/chat", PROMPT, True),
        ("POST", "http://localhost:8000/v1/embeddings", {"input": "x", "model": "m"}, True),
        ("POST", "http://localhost:8000/v1/responses", {"input": "x", "model": "m"}, True),
        ("POST", "http://localhost:8000/v1/messages", PROMPT, True),
        ("POST", "http://localhost:8000/rerank", {"query": "x", "documents": []}, True),
        ("POST", "http://localhost:8000/v1/messages", {"text": "hi", "to": "me"}, False),
        ("POST", "http://localhost:8000/responses", {"survey": 3}, False),
        ("POST", "http://localhost:8000/api/chat", {"room": 3}, False),
        ("GET", "http://localhost:8000/v1/messages", None, False),
        ("GET", "http://localhost:8000/v1/chat/completions", None, False),
        ("POST", "https://notopenai.com/v1/items", {}, False),
        ("POST", "https://openai.com.example.org/v1/items", {}, False),
        ("POST", "http://localhost:5984/db/_find", {"selector": {}}, False),
        ("POST", "https://s3.us-east-1.amazonaws.com/bucket", None, False),
        ("GET", "https://storage.googleapis.com/x", None, False),
    ],
)
def test_which_requests_go_to_an_lm(method, url, body, expected):
    assert LMHosts().is_lm(method, url, lambda: None if body is None else json.dumps(body).encode()) is expected


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("OPENAI_BASE_URL", "http://gateway.example:8080/v1", True),
        ("OPENAI_API_BASE", "http://gateway.example:8080", True),
        ("OLLAMA_HOST", "gateway.example:8080", True),
        ("ANTHROPIC_BASE_URL", "http://gateway.example:8080/", True),
        ("OPENAI_BASE_URL", "http://gateway.example/v1", False),
        ("AZURE_STORAGE_ENDPOINT", "http://gateway.example:8080", False),
        ("DATABASE_URL", "http://gateway.example:8080", False),
    ],
)
def test_variables_name_servers(monkeypatch, variable, value, expected):
    monkeypatch.setenv(variable, value)
    assert LMHosts().is_lm("GET", "http://gateway.example:8080/v1/files", lambda: None) is expected


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (["llm.example"], True),
        (["LLM.example:8443"], True),
        (["https://llm.example:8443/v1"], True),
        (["*.example"], True),
        (["llm.example:80"], False),
        (["*.example", "!llm.example"], False),
        (["!*", "llm.example"], True),
    ],
)
def test_the_ini_key_names_servers(entries, expected):
    assert hosts_of(entries).is_lm("GET", "https://llm.example:8443/x", lambda: None) is expected
    assert hosts_of(["!api.openai.com"]).is_lm("POST", "https://api.openai.com/v1/chat/completions", dict) is False


@pytest.mark.parametrize(
    "entry",
    ["!", "", "/", "http://", "!https://", "!!llm.example", ":8000", "llm.example/v1", "!llm.example:http", "a:"],
)
def test_an_entry_of_the_ini_key_that_names_no_server_is_refused(entry):
    with pytest.raises(pytest.UsageError, match=re.escape(f"dspex_lm_hosts: {entry!r}")):
        check_hosts(["llm.example", entry])


@pytest.mark.parametrize(
    "entry", ["llm.example", "*.example", "!llm.example:8000", "http://llm.example/v1", "llm.example:*", "[::1]:8000"]
)
def test_an_entry_that_names_a_server_is_taken(entry):
    check_hosts([entry])


def sse(*events):
    return "".join(f"event: x\ndata: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


OPENAI = {
    "choices": [{"index": 0, "message": {"content": "Paris"}}, {"index": 1, "message": {"content": "Rome"}}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2},
}


@pytest.mark.parametrize(
    "reply",
    [
        json.dumps(OPENAI),
        json.dumps({"choices": [{"text": "Paris", "index": 0}], "usage": OPENAI["usage"]}),
        json.dumps(
            {
                "output": [
                    {"type": "reasoning"},
                    {"type": "message", "content": [{"type": "output_text", "text": "Paris"}]},
                ],
                "usage": {"input_tokens": 7, "output_tokens": 2},
            }
        ),
        json.dumps({"content": [{"type": "text", "text": "Paris"}], "usage": {"input_tokens": 7, "output_tokens": 2}}),
        json.dumps(
            {
                "candidates": [{"content": {"parts": [{"text": "Paris"}]}, "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 2},
            }
        ),
        json.dumps(
            {
                "output": {"message": {"role": "assistant", "content": [{"text": "Paris"}]}},
                "usage": {"inputTokens": 7, "outputTokens": 2},
            }
        ),
        sse(
            {"choices": [{"index": 0, "delta": {"content": "Pa"}}]},
            {"choices": [{"index": 0, "delta": {"content": "ris"}}]},
            {"choices": [], "usage": OPENAI["usage"]},
        ),
        sse(
            {"type": "message_start", "message": {"content": [], "usage": {"input_tokens": 7, "output_tokens": 1}}},
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Pa"}},
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "ris"}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        ),
        sse(
            {"type": "response.output_text.delta", "delta": "Pa"},
            {"type": "response.output_text.delta", "delta": "ris"},
            {
                "type": "response.completed",
                "response": {"output": [], "usage": {"input_tokens": 7, "output_tokens": 2}},
            },
        ),
    ],
)
def test_a_reply_of_any_known_form_is_a_call(reply):
    response = as_response(HTTPReply(200, {}, reply.encode()), model="m")
    assert response.text == "Paris"
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (7, 2)


@given(st.binary() | JSON.map(lambda data: json.dumps(data).encode()))
def test_a_reply_of_any_other_form_is_one_too(body):
    assert isinstance(as_response(HTTPReply(200, {}, body), model="m").text, str)


@given(JSON)
def test_a_request_of_any_form_is_a_call(body):
    request = request_of("POST", "http://x.org/v1", headers=(), body=json.dumps({"messages": body, "input": body}))
    assert as_request(request).messages


def test_calls_of_other_libraries_are_calls_of_their_case():
    trace = Trace(None, is_live=True)
    request = request_of("POST", "http://x.org/v1/chat/completions", headers=(), body=json.dumps(PROMPT))
    assert trace.replay_http(request) is None
    trace.record_http(request, HTTPReply(200, {}, json.dumps(OPENAI).encode()))
    assert trace.replay_http(request) is None  # and then no reply
    answered, failed = trace.take()
    assert (answered.model, answered.source, answered.response.text) == ("m", "asked", "Paris")
    assert [(message.role, message.text) for message in answered.request.messages] == [("user", "hi")]
    assert (failed.source, failed.response) == ("failed", None)
    spent = spent_by([answered, failed], has_prices=False)
    assert (spent.calls, spent.prompt_tokens, spent.completion_tokens) == (2, 7, 2)
