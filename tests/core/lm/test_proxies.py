"""Proxies that the environment names: reached with their credentials, sync and async, and left out where told to be."""

from __future__ import annotations

import asyncio
import base64

import pytest
from openai_server import OpenAIServer

from dspex_core import LM
from dspex_core.errors import LMError, LMNotConfiguredError

BASIC = "Basic " + base64.b64encode(b"user:p@w").decode()


@pytest.fixture(params=["sync", "async"])
def call(request):
    def ask(address="http://model.test/v1"):
        lm = LM("openai/m", api_base=address, api_key="k", cache=False, num_retries=0, timeout=5)
        return lm("hi") if request.param == "sync" else asyncio.run(lm.acall("hi"))

    return ask


@pytest.fixture
def proxy():
    with OpenAIServer() as server:
        yield server


def place(proxy):
    return proxy.base_url.removeprefix("http://").removesuffix("/v1")


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    ("form", "credentials"),
    [("http://{}", None), ("{}", None), ("http://user:p%40w@{}", BASIC), ("user:p%40w@{}/", BASIC)],
)
def test_it_is_asked_with_its_credentials(call, proxy, monkeypatch, variable, form, credentials):
    monkeypatch.setenv(variable, form.format(place(proxy)))
    assert call() == ["ok"]
    (request,) = proxy.requests
    assert request.headers.get("proxy-authorization") == credentials
    assert request.headers["authorization"] == "Bearer k"
    assert request.path == "http://model.test/v1/chat/completions"


@pytest.mark.parametrize("value", ["socks5://127.0.0.1:1", "http://:1", "http://a:99999", "http://user:secret@a..b"])
def test_one_that_cannot_be_used_is_an_error_without_its_password(call, monkeypatch, value):
    monkeypatch.setenv("HTTP_PROXY", value)
    with pytest.raises(LMNotConfiguredError, match="proxy") as caught:
        call()
    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize("names", ["model.test", ".test", "*", "other,model.test:80", "model.test:8080"])
def test_it_is_left_out_where_no_proxy_says_so(call, proxy, monkeypatch, names):
    monkeypatch.setenv("HTTP_PROXY", f"http://{place(proxy)}")
    monkeypatch.setenv("NO_PROXY", names)
    port = ":8080" if ":8080" in names else ":80"
    with pytest.raises(LMError):  # there is no such host
        call(f"http://model.test{port}/v1")
    assert not proxy.requests


def test_no_proxy_may_name_a_network_and_loopback_has_none(call, proxy, server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://{place(proxy)}")
    assert call(server.base_url) == ["ok"]
    monkeypatch.setenv("NO_PROXY", "0.0.0.0/8")
    assert call(server.base_url.replace("127.0.0.1", "0.0.0.0")) == ["ok"]
    assert not proxy.requests
