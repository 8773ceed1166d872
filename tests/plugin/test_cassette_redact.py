from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_dspex.cassettes.redact import is_secret, without_secrets

SECRETS = [
    "api_key", "apiKey", "X-Api-Key", "azure_ad_token", "azure_ad_token_provider", "hf_token", "token", "access_token",
    "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "vertex_credentials", "client_secret",
    "password", "Authorization", "Proxy-Authorization", "basic_auth", "headers", "extra_headers", "Set-Cookie",
    "cookies", "organization", "OpenAI-Organization",
]  # fmt: skip
PARAMETERS = [
    "temperature", "max_tokens", "max_completion_tokens", "min_tokens", "stop_token_ids", "skip_special_tokens",
    "eos_token", "pad_token", "n", "seed", "stop", "top_k", "tools", "tool_choice", "response_format", "logit_bias",
    "prompt_cache_key", "reasoning_effort", "author", "authors_first", "extra_body", "user", "key_terms",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_names_of_credentials_are_known(name):
    assert is_secret(name)
    assert without_secrets({name: "sk-1", "n": 1}) == {"n": 1}


@pytest.mark.parametrize("name", PARAMETERS)
def test_sampling_parameters_are_kept(name):
    assert without_secrets({name: 1}) == {name: 1}


def test_credentials_are_dropped_at_any_depth():
    parameters = {
        "extra_body": {"api_key": "sk-1", "top_k": 4},
        "tools": ({"type": "mcp", "headers": {"Authorization": "Bearer sk-1"}, "server_label": "docs"},),
    }
    assert without_secrets(parameters) == {
        "extra_body": {"top_k": 4},
        "tools": [{"type": "mcp", "server_label": "docs"}],
    }


def test_fields_described_in_a_tools_schema_are_kept():
    schema = {"type": "object", "properties": {"password": {"type": "string"}, "user": {"type": "string"}}}
    parameters = {"tools": [{"type": "function", "function": {"name": "login", "parameters": schema}}]}
    assert without_secrets(parameters) == parameters


def test_a_value_among_properties_is_no_description():
    assert without_secrets({"properties": {"password": "hunter2", "user": "me"}}) == {"properties": {"user": "me"}}


def test_keys_that_are_no_text_are_kept():
    assert without_secrets({"logit_bias": {50256: -100}}) == {"logit_bias": {50256: -100}}


@given(
    st.recursive(
        st.just("sk-secret"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*SECRETS, *PARAMETERS]), inner),
    ).map(lambda value: {"api_key": value, "extra_body": {"password": value}})
)
def test_no_secret_name_is_left_anywhere(parameters):
    assert not _names(without_secrets(parameters)) & set(SECRETS)


def _names(value):
    if isinstance(value, dict):
        return set(value).union(*map(_names, value.values()))
    return set().union(*map(_names, value)) if isinstance(value, list) else set()
