"""How a call reaches its model: settings do what they do in OpenAI's client and in LiteLLM, and stay secret."""

from __future__ import annotations

import asyncio
import copy
import pickle

import pytest
from openai_server import Reply

from dspex_core import LM, Embedder, Predict, context
from dspex_core.errors import ConfigurationError, LMError, LMNotConfiguredError, LMUnsupportedFeatureError
from dspex_core.lm.cache import ResponseCache

SECRET = "sk-SECRET-0123456789"
GIVEN = [
    ({"api_key": SECRET}, "authorization", f"Bearer {SECRET}"),
    ({"headers": {"X-Api-Key": SECRET}}, "x-api-key", SECRET),
    ({"extra_headers": {"X-Api-Key": SECRET}}, "x-api-key", SECRET),
    ({"default_headers": {"X-Api-Key": SECRET}}, "x-api-key", SECRET),
    ({"extra_headers": {"authorization": SECRET}}, "authorization", SECRET),
    ({"organization": "org-1"}, "openai-organization", "org-1"),
    ({"project": "proj-1"}, "openai-project", "proj-1"),
]


def at(server, **arguments):
    return LM(
        "openai/m", **{"api_base": server.base_url, "api_key": "k", "cache": False, "num_retries": 0, **arguments}
    )


@pytest.fixture(params=["of the LM", "of the call", "of the predictor"])
def ask(request):
    """Make a call with options that stand in one of the places where users write them; return the LM."""

    def call(make, **options):
        lm = make(**options) if request.param == "of the LM" else make()
        if request.param == "of the LM":
            lm("hi")
        elif request.param == "of the call":
            lm("hi", **options)
        else:
            with context(parse_retries=0):
                Predict("question -> answer", **options)(question="hi", lm=lm)
        return lm

    return call


@pytest.fixture
def answering(server):
    server.replies.extend(["[[ ## answer ## ]]\nfine\n\n[[ ## completed ## ]]"] * 9)
    return server


@pytest.mark.parametrize(("options", "header", "value"), GIVEN, ids=lambda part: str(part)[:30])
@pytest.mark.parametrize("engine", ["direct", "litellm"])
def test_keys_and_headers_are_sent_as_headers_and_kept_nowhere(answering, ask, options, header, value, engine):
    lm = ask(lambda **given: at(answering, engine=engine, **given), **options)
    (request,) = answering.requests
    assert request.headers[header] == value
    assert not request.body.keys() & options.keys()
    shown = repr(lm) + repr(lm.history) + repr(vars(lm)) + repr(lm.dump_state()) + repr(lm._engine)
    assert SECRET not in shown
    assert SECRET.encode() not in pickle.dumps(lm) + pickle.dumps(lm.history[0])


@pytest.mark.parametrize("name", ["base_url", "api_base"])
@pytest.mark.parametrize("engine", ["direct", "litellm"])
def test_an_address_is_honoured_under_either_name(answering, ask, name, engine):
    def make(**given):
        elsewhere = {} if given else {"api_base": "http://127.0.0.1:9/v1"}
        return LM("openai/m", api_key="k", cache=False, num_retries=0, engine=engine, **elsewhere, **given)

    ask(make, **{name: answering.base_url})
    assert len(answering.requests) == 1


@pytest.mark.parametrize("engine", ["direct", "litellm"])
def test_extra_body_is_merged_into_the_body(answering, ask, engine):
    ask(
        lambda **given: at(answering, engine=engine, **given),
        extra_body={"guided_json": {"type": "object"}, "top_k": 3},
    )
    body = answering.requests[0].body
    assert (body["guided_json"], body["top_k"]) == ({"type": "object"}, 3)
    assert "extra_body" not in body


@pytest.mark.parametrize("options", [{"extra_query": {"a": "b c"}}, {"default_query": {"a": "b c"}}])
def test_a_query_is_added_to_the_address(answering, ask, options):
    ask(lambda **given: at(answering, **given), **options)
    assert answering.requests[0].path == "/v1/chat/completions?a=b%20c"


def test_the_address_may_hold_a_query_and_a_login(server):
    lm = LM("openai/m", api_base=server.base_url.replace("://", "://me:pw@") + "?version=1", cache=False)
    lm("hi", api_version="2")
    assert server.requests[0].path == "/v1/chat/completions?version=1&api-version=2"
    assert server.requests[0].headers["authorization"] == "Basic bWU6cHc="


@pytest.mark.parametrize("options", [{"max_retries": 1}, {"num_retries": 1}])
def test_retries_are_honoured_under_either_name(answering, ask, options):
    answering.replies.appendleft(Reply(status=503, headers={"Retry-After": "0"}))

    def make(**given):
        fixed = {"num_retries": 0} if not given else {}
        return LM("openai/m", api_base=answering.base_url, api_key="k", cache=False, **fixed, **given)

    ask(make, **options)
    assert len(answering.requests) == 2


@pytest.mark.parametrize("name", ["timeout", "request_timeout"])
def test_a_timeout_is_honoured_under_either_name(server, name):
    server.replies.extend([Reply(delay=0.5)] * 2)
    with pytest.raises(LMError, match=r"within 0\.1 seconds"):
        at(server, **{name: 0.1})("hi")
    with pytest.raises(LMError, match=r"within 0\.1 seconds"):
        at(server)("hi", **{name: 0.1})
    assert all(name not in request.body for request in server.requests)


@pytest.mark.parametrize(
    "name", ["user", "seed", "top_k", "min_p", "repetition_penalty", "guided_json", "a_new_parameter"]
)
def test_parameters_of_the_model_are_sent_whatever_their_name(answering, ask, name):
    ask(lambda **given: at(answering, **given), **{name: 1})
    assert answering.requests[0].body[name] == 1


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("api_bse", "api_base"),
        ("apikey", "api_key"),
        ("extra_header", "extra_headers"),
        ("organisation", "organization"),
        ("temprature", "temperature"),
        ("num_retrys", "num_retries"),
    ],
)
def test_a_misspelt_name_is_an_error_that_says_the_nearest(server, name, nearest):
    for call in (lambda: at(server, **{name: "x"}), lambda: at(server)("hi", **{name: "x"})):
        with pytest.raises(ConfigurationError, match=nearest):
            call()
    assert not server.requests


@pytest.mark.parametrize(
    "name", ["http_client", "proxy", "aws_region_name", "ssl_verify", "hf_token", "api_type", "server_url"]
)
def test_what_only_litellm_may_know_is_not_sent_by_the_direct_engine(server, ask, name):
    with pytest.raises(LMUnsupportedFeatureError, match=f"{name}.*litellm"):
        ask(lambda **given: at(server, **given), **{name: SECRET})
    assert not server.requests


def test_what_belongs_to_an_lm_is_refused_for_a_call(server):
    with pytest.raises(ConfigurationError, match=r"lm\.copy\(fallbacks=...\)"):
        at(server)("hi", fallbacks=["openai/b"])


def test_two_names_for_two_values_are_an_error(server):
    with pytest.raises(ConfigurationError, match="api_base is given twice"):
        LM("openai/m", api_base=server.base_url, base_url="http://other/v1")
    assert LM("openai/m", api_base="http://a/v1").copy(base_url="http://b/v1").api_base == "http://b/v1"


def test_a_copy_keeps_its_options_and_a_shallow_copy_its_key(answering):
    lm = at(answering, extra_headers={"X-A": "1"}, api_key=SECRET)
    for same in (lm.copy(temperature=1.0), copy.copy(lm)):
        same("hi")
        assert (answering.requests[-1].headers["x-a"], answering.requests[-1].headers["authorization"]) == (
            "1",
            f"Bearer {SECRET}",
        )


@pytest.mark.parametrize("engine", ["direct", "litellm"])
@pytest.mark.parametrize(
    "key", [f"{SECRET}\n", f"{SECRET}\r\nX: y", f"{SECRET}\x00", f"{SECRET}\u4e2d", "  ", "\ud800"], ids=ascii
)
def test_a_key_that_cannot_be_sent_is_an_error_that_does_not_show_it(server, engine, key):
    for call in (
        lambda: at(server, api_key=key, engine=engine)("hi"),
        lambda: at(server, engine=engine)("hi", api_key=key),
    ):
        with pytest.raises(LMNotConfiguredError, match="the api_key") as caught:
            call()
        assert "SECRET" not in repr(caught.value) + str(caught.value.__cause__)


def test_a_line_break_after_a_key_in_the_environment_is_no_part_of_it(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f"{SECRET}\n")
    LM("openai/m", api_base=server.base_url, cache=False)("hi")
    assert server.requests[0].headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("given", [{}, {"Host": "elsewhere.example"}, {"user-agent": "ours", "X-Name": "a, b"}])
def test_each_request_of_a_client_has_the_same_headers_sync_or_async(answering, given):
    lm = at(answering, extra_headers=given, engine="direct")
    assert lm("one") == lm("two, longer") == asyncio.run(lm.acall("three"))
    first, second, awaited = (dict(request.headers) for request in answering.requests)
    assert {**first, "content-length": ""} == {**second, "content-length": ""} == {**awaited, "content-length": ""}
    assert first["content-length"] != second["content-length"]
    assert {name: first[name.lower()] for name in given} == given


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "a\nb"},
        {"X-A": "\u4e2d"},
        {"X-A": "\xe9"},
        {"X-A": "a\xa0b"},
        {"X A": "1"},
        {"X-A": 1},
        {"Content-Length": "3"},
        {"": "a"},
    ],
)
def test_headers_that_cannot_be_sent_are_an_error(server, headers):
    with pytest.raises(LMNotConfiguredError, match="header"):
        at(server)("hi", extra_headers=headers)
    assert not server.requests


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:99999/v1",
        "http://a..b/v1",
        "http://[::1/v1",
        "http:///v1",
        "ftp://a/v1",
        "http://a b/v1",
        "http://x:port/v1",
        "nonsense",
    ],
)
def test_an_address_that_is_none_is_an_error(address, waiting_call):
    with pytest.raises(LMNotConfiguredError):
        waiting_call(LM("openai/m", api_base=address, api_key="k", cache=False, num_retries=0))


@pytest.mark.parametrize(
    "options",
    [
        {"headers": "x"},
        {"extra_query": [1]},
        {"extra_body": 3},
        {"timeout": []},
        {"timeout": float("inf")},
        {"timeout": float("nan")},
    ],
)
def test_options_of_the_wrong_type_are_an_error(server, options):
    with pytest.raises(ConfigurationError):
        at(server)("hi", **options)


def test_the_cache_tells_answers_from_different_places_apart(server):
    server.replies.extend(["one", "two", "three"])
    with context(cache=ResponseCache()):
        lm = at(server, cache=True)
        assert lm("hi") == ["one"]
        assert lm("hi", api_key="other") == ["one"]
        assert lm("hi", extra_headers={"X-Variant": "b"}) == ["two"]
        assert lm("hi", extra_body={"top_k": 1}) == ["three"]
        assert lm("hi", extra_headers={"X-Variant": "b"}) == ["two"]


def test_a_fallback_gets_no_options_of_the_call(server, answering):
    server.replies.clear()
    server.replies.extend([Reply(status=400), "fine"])
    lm = at(server, fallbacks=[at(server)])
    assert lm("hi", extra_headers={"X-Api-Key": SECRET}) == ["fine"]
    assert "x-api-key" not in server.requests[1].headers


@pytest.mark.parametrize("place", ["of the embedder", "of the call"])
def test_an_embedder_is_reached_as_an_lm_is(server, place):
    server.replies.append(Reply(body={"data": [{"index": 0, "embedding": [1.0]}], "model": "e"}))
    options = {"extra_headers": {"X-Api-Key": SECRET}, "organization": "org-1", "extra_body": {"a": 1}}
    fixed = {"base_url": server.base_url, "caching": False}
    if place == "of the embedder":
        embedder = Embedder("openai/e", **fixed, **options)
        embedder("text")
        assert SECRET not in repr(embedder.to_json()) + repr(vars(embedder))
    else:
        Embedder("openai/e", **fixed)("text", **options)
    (request,) = server.requests
    assert (request.headers["x-api-key"], request.headers["openai-organization"]) == (SECRET, "org-1")
    assert request.body == {"model": "e", "input": ["text"], "a": 1}


@pytest.fixture(params=["sync", "async"])
def waiting_call(request):
    import asyncio

    return (lambda lm: lm("hi")) if request.param == "sync" else (lambda lm: asyncio.run(lm.acall("hi")))


@pytest.mark.parametrize("none", [None, (), []])
def test_no_fallbacks_may_be_written_as_none(none):
    assert LM("openai/a", fallbacks=none).fallbacks == ()


@pytest.mark.parametrize("given", ["openai/b", LM("openai/b"), {"model": "openai/b"}, 3, [3], [None], [["openai/b"]]])
def test_fallbacks_that_are_not_a_list_of_lms_are_an_error(given):
    with pytest.raises(ConfigurationError, match="fallbacks must be a list"):
        LM("openai/a", fallbacks=given)
