from __future__ import annotations

import copy
import json
import pickle
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspex_core.plain.secrets import (
    SecretMapping,
    SecretText,
    is_private,
    is_secret,
    looks_secret,
    masked,
    secret_forms,
    without_secrets,
)

SECRETS = """
api_key apiKey API_KEY X-Api-Key x-goog-api-key api-keys OpenAIKey openai_key azure_key aws_access_key_id
AWS_SECRET_ACCESS_KEY aws_session_token secret_key client_secret private_key privateKey ssh_key sshKey
Ocp-Apim-Subscription-Key subscription_key x-functions-key account_key signing-key master_key app_key hf_token hfToken
HF_TOKEN token auth_token access_token id_token accessTokens refresh-token github_token azure_ad_token
azure_ad_token_provider pwd password passwd db_password passphrase jwt X-JWT sas sas_token sessionid session_id
JSESSIONID cookie Set-Cookie cookies dsn SENTRY_DSN connection_string connectionString hmac x-hmac credentials
vertex_credentials google_application_credentials authorization Proxy-Authorization bearer basic_auth oauth headers
extra_headers defaultHeaders X-Amz-Signature csrf otp
""".split()  # noqa: SIM905  reads better
PARAMETERS = """
temperature max_tokens maxTokens max_completion_tokens max_output_tokens min_tokens stop_token_ids skip_special_tokens
eos_token eosToken pad_token bos_token unk_token stop_token image_token next_token prompt_tokens completion_tokens
total_tokens token_count tokens n seed stop top_k top_p tools tool_choice response_format logit_bias logprobs key keys
key_terms keyword keywords keyboard monkey turkey primary_key foreign_key sort_key cache_key prompt_cache_key group_key
tokenizer tokenizer_name tokenize author authors_first authority user passage compass
signature signatures secretary extra_body reasoning_effort session sentiment organization guided_json repetition_penalty
""".split()  # noqa: SIM905  as above


@pytest.mark.parametrize("name", SECRETS)
def test_names_of_credentials_are_known_whatever_their_case_and_separators(name):
    assert is_secret(name)
    assert is_secret(name.upper())
    assert is_secret(name.replace("_", "-"))
    assert is_private(name)


@pytest.mark.parametrize("name", PARAMETERS)
def test_names_of_parameters_are_kept(name):
    assert not is_secret(name)
    assert without_secrets({name: 1}) == {name: 1}


@pytest.mark.parametrize("secret", ["plain-key-0123", "k/e+y=01/23", 'k"e\\y-é-0123', "schlüssel 0123"])
def test_a_secret_is_found_in_each_form_in_which_a_text_holds_it(secret):
    in_urls = (f"http://host/{quote(secret)}", f"?key={quote_from_bytes(secret.encode(), safe='')}&n=1")
    in_data = (json.dumps([secret]), json.dumps({"key": secret}, ensure_ascii=False), repr({"key": secret}))
    for text in (f"it is {secret}.", *in_urls, *in_data):
        assert any(form in text for form in secret_forms(secret)), text


@pytest.mark.parametrize("name", ["api_base", "base_url", "azure_endpoint", "model_list", "apiBase", "proxy"])
def test_an_address_is_private_but_not_a_secret(name):
    assert is_private(name)
    assert not is_secret(name)


@pytest.mark.parametrize(
    "text",
    [
        "sk-PERCALL",
        "sk-proj-abc_DEF-123456",
        "Bearer abcdef123",
        "Basic dXNlcjpwdw==",
        "https://user:pw@host.test/v1",
        "postgres://u:p@localhost/db",
        "hf_abcdefghijklmnopqrstuv",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_texts_of_the_form_of_a_credential_are_known(text):
    assert looks_secret(text)
    assert without_secrets({"note": text, "notes": [text, "n"]}) == {"notes": ["n"]}
    assert "[secret]" in masked(f"it was refused: {text}")
    assert "PERCALL" not in masked(f"it was refused: {text}")


@pytest.mark.parametrize(
    "text",
    [
        "task-oriented",
        "sk-",
        "Bearer",
        "the bearer of bad news",
        "http://host:8000/v1",
        "a@b.test",
        "risk-averse people",
    ],
)
def test_plain_texts_are_kept(text):
    assert not looks_secret(text)
    assert masked(text) == text


def test_a_url_keeps_its_host_when_its_password_is_hidden():
    assert masked("no reply from http://user:pw@proxy.test:80/") == "no reply from http://[secret]@proxy.test:80/"


def test_credentials_are_dropped_at_any_depth():
    parameters = {
        "extra_body": {"api_key": "sk-1", "top_k": 4, "nested": [{"hf_token": "x", "n": 1}]},
        "tools": ({"type": "mcp", "headers": {"Authorization": "Bearer sk-1"}, "server_label": "docs"},),
    }
    assert without_secrets(parameters) == {
        "extra_body": {"top_k": 4, "nested": [{"n": 1}]},
        "tools": [{"type": "mcp", "server_label": "docs"}],
    }
    assert without_secrets({"api_base": "http://x", "n": 1}, is_private) == {"n": 1}


def test_fields_described_in_a_schema_are_kept():
    schema = {"type": "object", "properties": {"password": {"type": "string"}}, "required": ["password"]}
    assert without_secrets({"tools": [schema]}) == {"tools": [schema]}


@given(
    st.recursive(
        st.just("sk-secret"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*SECRETS, *PARAMETERS]), inner),
    ).map(lambda value: {"api_key": value, "extra_body": {"password": value, "n": value}})
)
def test_no_secret_is_left_anywhere(parameters):
    assert "sk-secret" not in repr(without_secrets(parameters))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_hidden_values_are_as_any_other_but_do_not_show(copied):
    key, headers = copied(SecretText("k-1")), copied(SecretMapping({"Authorization": "k-1"}))
    assert key == "k-1"
    assert headers == {"Authorization": "k-1"}
    assert "k-1" not in f"{key!r} {headers!r} {headers} {headers.copy()} {[key]}"
    assert "Authorization" in repr(headers)
