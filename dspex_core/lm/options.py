"""Connection options of a call: address, key, headers, ... PYTEST_DONT_REWRITE

Users pass these with the sampling parameters, by the names of OpenAI's client or of LiteLLM, for an LM or for one call.
They are separated before a request is stored, hashed or sent.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from dspex_core.errors import ConfigurationError
from dspex_core.lm.addresses import is_secret_in_query
from dspex_core.messages import canonical_json
from dspex_core.messages.canonical import digest_of
from dspex_core.plain.secrets import SecretMapping, SecretText, is_secret, with_hidden_secrets, without_secrets

Kind = Literal["sampling", "ours", "litellm's", "misspelt"]

_OTHER_NAMES = {
    "base_url": "api_base",
    "request_timeout": "timeout",
    "max_retries": "num_retries",
    "default_headers": "headers",
    "default_query": "extra_query",
}
_OURS = frozenset(
    "api_base api_key headers extra_headers extra_query api_version organization project num_retries timeout".split()  # noqa: SIM905  reads better
)
_OF_AN_LM = frozenset("model_type engine callbacks fallbacks requests_per_minute supports_function_calling".split())  # noqa: SIM905  as above
# These come with nearly every call, so one look-up covers them; other names are checked one by one.
_SAMPLING = frozenset(
    "temperature max_tokens max_completion_tokens max_output_tokens top_p top_k min_p n stop seed user logprobs "  # noqa: SIM905  as above
    "top_logprobs logit_bias presence_penalty frequency_penalty repetition_penalty parallel_tool_calls "
    "reasoning_effort stream rollout_id cache".split()
)
_MAY_BE_MEANT = sorted({*_OURS, *_OTHER_NAMES, *_OF_AN_LM, "temperature", "max_tokens"})
_ALIKE = 0.85
_OF_A_CONNECTION = re.compile(
    r"^(api|base|aws|azure|vertex|watsonx|wx|oci|sagemaker|databricks|http|https|ssl|tls|proxy|proxies|client|transport"
    r"|verify|cert|endpoint|host|url|uri|deployment|auth|retry|retries|timeout)(_|$)"
    r"|(^|_)(url|uri|endpoint|host|proxy|headers?|region|region_name|client|timeout|retries|retry)$"
)


def is_plain(config: Mapping[str, Any]) -> bool:
    """Return quickly whether a configuration holds only plain sampling parameters; false if it needs a closer look."""
    return config.keys() <= _SAMPLING


def set_apart(config: Mapping[str, Any]) -> tuple[dict[str, Any], SecretMapping]:
    """Return sampling parameters and connection options separately, by our names.

    Raises:
        ConfigurationError: A name is unknown but looks like a connection option, or two names give different values.
    """
    sampling: dict[str, Any] = {}
    apart = SecretMapping()
    for name, value in config.items():
        kind = _kind(name)
        if kind == "misspelt":
            raise ConfigurationError(_unknown(name))
        if kind == "sampling":
            sampling[name] = value
            if name == "extra_body":
                sampling[name] = with_hidden_secrets(value)
        elif value is not None:
            _add(apart, _OTHER_NAMES.get(name, name), value)
    return sampling, apart


def renamed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments by our names."""
    return {_OTHER_NAMES.get(name, name): value for name, value in arguments.items()}


def refuse_arguments_of_an_lm(config: Mapping[str, Any]) -> None:
    """Raise ConfigurationError if a call gets an argument that only an LM takes."""
    for name in config.keys() & _OF_AN_LM:
        message = f"{name} is an argument of an LM, not of a call; give the call an lm.copy({name}=...)"
        raise ConfigurationError(message)


def _add(apart: SecretMapping, name: str, value: Any) -> None:
    if name in ("headers", "extra_headers", "extra_query"):
        if not isinstance(value, Mapping):
            message = f"{name} must be a dict of names and texts, not {type(value).__name__}"
            raise ConfigurationError(message)
        name = "headers" if name == "extra_headers" else name
        apart[name] = SecretMapping({**apart.get(name, {}), **{key: v for key, v in value.items() if v is not None}})
    elif apart.get(name, value) != value:
        message = f"{name} is given twice, under two names and with two values"
        raise ConfigurationError(message)
    else:
        apart[name] = SecretText(value) if isinstance(value, str) and is_secret(name) else value


@lru_cache(maxsize=1024)
def _kind(name: str) -> Kind:
    if name in _SAMPLING or name in _OF_AN_LM:
        return "sampling"
    if name in _OURS or name in _OTHER_NAMES:
        return "ours"
    if difflib.get_close_matches(name.lower(), _MAY_BE_MEANT, 1, _ALIKE):
        return "misspelt"
    return "litellm's" if is_secret(name) or _OF_A_CONNECTION.search(name) else "sampling"


def foreign(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that only LiteLLM knows."""
    return {name: value for name, value in options.items() if name not in _OURS}


def unknown_to_direct(options: Mapping[str, Any]) -> str | None:
    """Return a message that names the options unknown to the direct engine, or `None`."""
    names = sorted(foreign(options))
    return _unknown(names[0]) + "; LiteLLM may know it: engine='litellm'" if names else None


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), _MAY_BE_MEANT, 3, 0.5)
    known = f"did you mean: {', '.join(near)}?" if near else f"use one of: {', '.join(sorted(_OURS))}"
    return f"unknown argument {name!r} of an LM or a call; {known}"


def with_options(general: SecretMapping, special: SecretMapping) -> SecretMapping:
    """Return the options of an LM under those of one call; headers and queries are joined."""
    joined = {
        name: SecretMapping({**general.get(name, {}), **special.get(name, {})})
        for name in ("headers", "extra_query")
        if name in general and name in special
    }
    return SecretMapping({**general, **special, **joined})


def without_credentials(options: Mapping[str, Any]) -> SecretMapping:
    """Return the options of an LM that a pickle may hold."""
    kept = SecretMapping(without_secrets(options))
    if "extra_query" in kept:
        kept["extra_query"] = SecretMapping(without_secrets(kept["extra_query"], is_secret_in_query))
    return kept


def scope_of(options: Mapping[str, Any]) -> str:
    """Return a hash of the options that may affect an answer, without credentials, for cache keys.

    Names do not tell all credentials among headers apart, so the values are not kept.
    """
    parts = {name: options[name] for name in ("headers", "extra_query", "api_version") if options.get(name)}
    kept = {
        name: without_secrets(value) if isinstance(value, Mapping) else value for name, value in sorted(parts.items())
    }
    return digest_of(canonical_json({name: v for name, v in kept.items() if v})) if any(kept.values()) else ""


class SamplingDefaults(dict[str, Any]):
    """Sampling parameters by name; those that every LM has default to `None`, as in DSPy."""

    def __missing__(self, name: str) -> None:
        if name not in ("temperature", "max_tokens"):
            raise KeyError(name)
