"""A credential is shown nowhere, wherever a user puts it: not by `repr`, pickles, errors, or the frames of errors."""

from __future__ import annotations

import asyncio
import base64
import json
import pickle
import traceback

import pytest
from openai_server import OpenAIServer, Reply

from dspex_core import LM, Embedder, ResponseCache, context
from dspex_core.errors import LMError

KEY = "Zq7RtUvWx9Yp3LmN8Kj2"  # it has no form by which it could be known
HOST = "127.0.0.1:1"

PLACES = {
    "api_key": {"api_key": KEY},
    "a header without a known name": {"headers": {"X-Custom": KEY}},
    "default_headers": {"default_headers": {"X-Custom": f"Token {KEY}"}},
    "user and password": {"api_base": f"http://user:{KEY}@HOST/v1"},
    "user alone": {"api_base": f"http://{KEY}@HOST/v1"},
    "the query of the address": {"api_base": f"http://HOST/v1?key={KEY}"},
    "extra_query": {"extra_query": {"key": KEY}},
    "a field of the body": {"extra_body": {"provider": [{"password": KEY}]}},
}


@pytest.fixture(scope="module")
def server():
    with OpenAIServer() as server:
        yield server


def host_of(server):
    return server.base_url.partition("://")[2].partition("/")[0]


def lm_with(options, host=HOST):
    other = None if "@" in options.get("api_base", "") else "another"  # the key comes before user and password
    options = {"api_base": f"http://{host}/v1", "api_key": other, **options}
    options["api_base"] = options["api_base"].replace("HOST", host)
    return LM("openai/m", num_retries=0, engine="direct", **{"cache": False, **options})


def failure(lm, how):
    with pytest.raises(LMError) as caught:
        lm("hi") if how == "sync" else asyncio.run(lm.acall("hi"))
    return caught.value


def shown_by(error):
    """All texts of an error, its causes, and the variables of all frames but those of this file."""
    shown = [*traceback.format_exception(error), repr(error), repr(vars(error))]
    while error is not None:
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        shown += [repr(frame.f_locals) for frame in frames if frame.f_code.co_filename != __file__]
        error = error.__cause__ or error.__context__
    return shown


@pytest.mark.parametrize("options", PLACES.values(), ids=PLACES)
class TestACredential:
    def test_an_lm_does_not_show_it(self, options):
        lm = lm_with(options)
        for each in (lm, lm.copy(temperature=0.5)):
            assert KEY not in f"{each!r} {vars(each)!r}"
        assert KEY.encode() not in pickle.dumps(lm)

    @pytest.mark.parametrize("how", ["sync", "async"])
    def test_an_error_without_a_reply_does_not_show_it(self, options, how):
        assert [text for text in shown_by(failure(lm_with(options), how)) if KEY in text] == []

    def test_it_is_sent(self, options, server):
        server.replies.append(Reply("hello"))
        assert lm_with(options, host_of(server))("hi") == ["hello"]
        sent = server.requests[-1]
        assert KEY in f"{sent} {base64.b64decode(sent.headers['authorization'].partition('Basic ')[2])}"


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("place", ["api_key", "a header without a known name", "the query of the address"])
@pytest.mark.parametrize(
    "body", [json.dumps({"error": {"message": f"refused: {KEY}", "code": KEY}}), f"refused: {KEY}"]
)
def test_a_server_that_repeats_it_does_not_show_it(place, how, body, server):
    server.replies.append(Reply(body=body.encode(), status=401))
    error = failure(lm_with(PLACES[place], host_of(server)), how)
    assert "refused: [secret]" in str(error)
    assert [text for text in shown_by(error) if KEY in text] == []


@pytest.mark.parametrize("options", [{"headers": {"X-Custom": f"{KEY}\r\nA: b"}}, {"api_base": f"http://u:{KEY}@a b"}])
def test_what_cannot_be_sent_is_not_shown(options):
    assert [text for text in shown_by(failure(lm_with(options), "sync")) if KEY in text] == []


def test_addresses_that_are_shown_alike_are_not_mixed_up(server):
    with context(cache=ResponseCache()):
        for answer in ("first", "second"):
            server.replies.append(Reply(answer))
            lm = lm_with({"api_base": f"http://HOST/v1?tenant={answer}", "cache": True}, host_of(server))
            assert lm("hi") == [answer]


def test_a_pickle_of_an_embedder_does_not_hold_it():
    embedder = Embedder("openai/m", api_base=f"http://u:{KEY}@{HOST}/v1?key={KEY}", headers={"X-Custom": KEY})
    assert KEY.encode() not in pickle.dumps(embedder)
