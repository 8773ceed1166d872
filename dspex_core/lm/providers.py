"""Where a model is found: from `provider/model` to an address, a key and an engine. PYTEST_DONT_REWRITE

Nothing here touches the network. `locate` decides without a key, so that a cached answer
needs none; `connect` adds what a call needs, and starts the embedded server for `local/`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dspex_core.errors import ConfigurationError, LMNotConfiguredError, LMUnsupportedFeatureError
from dspex_core.lm.addresses import AddressError, credentials_in, headers_of, unsendable
from dspex_core.lm.options import foreign, unknown_to_direct
from dspex_core.plain.display import value_text
from dspex_core.plain.secrets import (
    HIDDEN,
    AddressText,
    SecretMapping,
    SecretText,
    masked,
    shown_address,
    without_frames,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.lm.engines.wire import ModelType

_SHORTEST = 8  # characters of a credential that is looked for in texts
EngineName = Literal["direct", "litellm"]
EngineChoice = Literal["auto", "direct", "litellm"]


@dataclass(frozen=True, slots=True)
class Provider:
    """A service that speaks the OpenAI wire formats.

    Args:
        name: Its name in `provider/model`.
        base_url: Its default address; `None` when the user must set one.
        key_env: The environment variables that may hold the key, in order; empty if no key is needed.
        supports_schema: Whether its models support a JSON schema for responses.
        base_env: The environment variables that may hold another base URL, in order.
        model_path: The prefix of a model's short name in requests.
        model_types: The kinds of API that it has.
        takes_stream_options: Whether the token usage of a streamed reply may be requested.
    """

    name: str
    base_url: str | None
    key_env: tuple[str, ...] = ()
    supports_schema: bool = False
    base_env: tuple[str, ...] = ()
    model_path: str = ""
    model_types: tuple[ModelType, ...] = ("chat",)
    takes_stream_options: bool = True


_ALL: tuple[ModelType, ...] = ("chat", "text", "responses")
_OLLAMA = Provider(
    "ollama",
    "http://localhost:11434/v1",
    supports_schema=True,
    base_env=("OLLAMA_API_BASE",),
    model_types=("chat", "text"),
)

PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider("local", None, supports_schema=True, model_types=_ALL),
        Provider(
            "openai",
            "https://api.openai.com/v1",
            ("OPENAI_API_KEY",),
            supports_schema=True,
            base_env=("OPENAI_BASE_URL", "OPENAI_API_BASE"),
            model_types=_ALL,
        ),
        Provider(
            "hosted_vllm",
            None,
            ("HOSTED_VLLM_API_KEY",),
            supports_schema=True,
            base_env=("HOSTED_VLLM_API_BASE",),
            model_types=_ALL,
        ),
        _OLLAMA,
        Provider("openrouter", "https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",), model_types=("chat", "text")),
        Provider("groq", "https://api.groq.com/openai/v1", ("GROQ_API_KEY",)),
        Provider(
            "together_ai",
            "https://api.together.xyz/v1",
            ("TOGETHERAI_API_KEY", "TOGETHER_API_KEY"),
            model_types=("chat", "text"),
        ),
        Provider("deepseek", "https://api.deepseek.com/v1", ("DEEPSEEK_API_KEY",)),
        Provider(
            "mistral",
            "https://api.mistral.ai/v1",
            ("MISTRAL_API_KEY",),
            supports_schema=True,
            takes_stream_options=False,  # it refuses them, and sends the usage anyway
        ),
        Provider(
            "fireworks_ai",
            "https://api.fireworks.ai/inference/v1",
            ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"),
            supports_schema=True,
            model_path="accounts/fireworks/models/",
            model_types=("chat", "text"),
        ),
        Provider(
            "xai", "https://api.x.ai/v1", ("XAI_API_KEY",), supports_schema=True, model_types=("chat", "responses")
        ),
    )
} | {"ollama_chat": _OLLAMA}

# Providers with another wire format: an `api_base` does not make them direct.
_OTHER_FORMATS = frozenset(
    "anthropic azure azure_ai bedrock cohere databricks gemini huggingface replicate sagemaker vertex_ai".split()  # noqa: SIM905  reads better
)
# Providers whose models are known to take functions. Where it depends on the model, the user has to say so.
_CALL_FUNCTIONS = frozenset("anthropic azure deepseek gemini groq mistral openai vertex_ai xai".split())  # noqa: SIM905  as above
# The models of OpenAI that came before structured outputs.
_BEFORE_SCHEMAS = re.compile(r"gpt-(3\.5|4(-|$))")


@dataclass(frozen=True, slots=True)
class Target:
    """The meaning of a model string.

    Args:
        model: The model string itself.
        name: The model's name in requests to the provider.
        provider: The provider in `PROVIDERS`, or a new one for the user's address.
        base_url: The provider's address; `None` when LiteLLM or the embedded server knows it.
        engine: Which engine makes the call.
        api_base: The address that the user gave, if any.
        model_type: The kind of API.
    """

    model: str
    name: str
    provider: Provider
    base_url: str | None
    engine: EngineName
    api_base: str | None = None
    model_type: ModelType = "chat"

    @property
    def scope(self) -> str | None:
        """The part of cache keys for equal model strings: address, weights if embedded, and kind of API."""
        place = None if self.base_url is None else str(self.base_url)  # its `repr` hides what is secret
        if place is None and self.provider.name == "local":
            place = os.environ.get("DSPEX_LOCAL_MODEL")
        return place if self.model_type == "chat" else f"{self.model_type} {place or ''}"

    @property
    def supports_schema(self) -> bool:
        """Whether its replies can be held to a JSON schema."""
        return self.provider.supports_schema and not _BEFORE_SCHEMAS.match(self.name)

    @property
    def gives_n(self) -> bool:
        """Whether one request can return several outputs."""
        return self.provider.name != "local" and self.model_type != "responses"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The data an engine needs for calls to one model; the `repr` leaves out the key."""

    model: str
    name: str
    provider: str
    base_url: str | None
    api_key: str | None = field(repr=False)
    supports_schema: bool
    model_type: ModelType = "chat"
    takes_stream_options: bool = True
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    further: Mapping[str, Any] = field(default_factory=dict, repr=False)  # options that only LiteLLM knows

    @property
    def place(self) -> str:
        """The address, as messages show it."""
        return shown_address(self.base_url or "")

    def without_credentials(self, text: str) -> str:
        """Return a text that may repeat what was sent, without the credentials of this endpoint."""
        sent = [self.api_key or "", *self.headers.values(), *self.query.values(), *credentials_in(self.base_url or "")]
        credentials = {word for value in sent for word in (str(value), *str(value).split()) if len(word) >= _SHORTEST}
        for credential in sorted(credentials, key=len, reverse=True):
            text = text.replace(credential, HIDDEN)
        return masked(text)


def calls_functions(model: str) -> bool:
    """Return whether a model string names a provider whose models are known to take functions."""
    prefix, slash, _ = model.partition("/")
    return bool(slash) and prefix in _CALL_FUNCTIONS


def locate(
    model: str, model_type: ModelType = "chat", *, api_base: str | None = None, engine: EngineChoice = "auto"
) -> Target:
    """Return the target of a model string; `DSPEX_LM_ENGINE` overrides `engine="auto"`.

    Raises:
        LMNotConfiguredError: The string does not name a provider, or no engine can reach it.
        LMUnsupportedFeatureError: The direct engine does not support this API of the provider.
    """
    prefix, slash, rest = model.partition("/")
    known = PROVIDERS.get(prefix) if slash else None
    chosen = _chosen_engine(engine)
    if known:
        short = known.model_path if known.model_path and not rest.startswith("accounts/") else ""
        has_it = model_type in known.model_types
        if chosen == "direct" and not has_it:
            message = (
                f"the direct engine does not support model_type={model_type!r} for {prefix}; use engine='litellm', "
                f"or another model_type: {', '.join(map(repr, known.model_types))}"
            )
            raise LMUnsupportedFeatureError(message, model=model, provider=prefix)
        name, base_url = short + rest, _base_url(known, api_base)
        return Target(model, name, known, base_url, chosen or ("direct" if has_it else "litellm"), api_base, model_type)
    if not slash and not api_base and chosen == "direct":
        message = "the model string does not name a provider; write it as provider/model, such as 'openai/gpt-4o-mini'"
        raise LMNotConfiguredError(message, model=model)
    foreign = Provider(prefix if slash else "custom", None, supports_schema=bool(api_base))
    direct = bool(api_base) and prefix not in _OTHER_FORMATS
    if chosen == "direct" and not api_base:
        message = (
            f"the direct engine does not know the provider {prefix!r}; give the LM an api_base that speaks the OpenAI "
            f"format, or use engine='litellm'; the direct engine knows: {', '.join(sorted(PROVIDERS))}"
        )
        raise LMNotConfiguredError(message, model=model, provider=prefix)
    given = api_base or os.environ.get(f"{prefix.upper()}_API_BASE")
    base_url = (_tidy(given) if api_base else AddressText(given)) if given else None
    return Target(model, model, foreign, base_url, chosen or ("direct" if direct else "litellm"), api_base, model_type)


def connect(target: Target, *, api_key: str | None, options: Mapping[str, Any] | None = None) -> Endpoint:
    """Return the endpoint of a target, with its key from the argument or the environment.

    Args:
        target: The model to reach.
        api_key: The user's key, if given.
        options: Further connection options, by name (see `lm.options`).

    Raises:
        LMNotConfiguredError: The key or the address is missing, or the key or a header cannot be sent.
        LMUnsupportedFeatureError: The engine does not know an option.
    """
    provider, base_url = target.provider, target.base_url
    if provider.name == "local" and base_url is None:
        from dspex_core.lm.embedded.server import serve  # starts a server, on first use

        base_url = serve(target.name)
    elif target.engine == "litellm":
        base_url = target.api_base  # LiteLLM has its own table and its own form of addresses
    key = checked_key(api_key) or checked_key(_from_env(provider.key_env))
    _check(target, base_url, key)
    reach = _reach(target, options or {})
    return Endpoint(
        model=target.model,
        name=target.name,
        provider=provider.name,
        base_url=base_url,
        api_key=key,
        supports_schema=target.supports_schema,
        model_type=target.model_type,
        takes_stream_options=provider.takes_stream_options and target.model_type != "responses",
        **reach,
    )


def checked_key(api_key: str | None) -> SecretText | None:
    """Return a key as a text that `repr` hides.

    Raises:
        LMNotConfiguredError: The key cannot be sent. The message does not show it.
    """
    if not api_key:
        return None
    problem = unsendable(api_key) if isinstance(api_key, str) else f"must be a text, not {type(api_key).__name__}"
    if problem is None and api_key.isspace():
        problem = "is blank"
    if problem:
        message = f"the api_key {problem}"
        raise LMNotConfiguredError(message)
    return SecretText(api_key)


def _reach(target: Target, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of an endpoint that options set."""
    who: dict[str, str] = {"OpenAI-Project": options["project"]} if "project" in options else {}
    further = foreign(options)
    version = options.get("api_version")
    query = dict(options.get("extra_query", {}))
    if target.engine == "direct":
        problem = unknown_to_direct(options)
        if problem:
            raise LMUnsupportedFeatureError(problem, model=target.model, provider=target.provider.name)
        if "organization" in options:
            who["OpenAI-Organization"] = options["organization"]
        if version is not None:
            query.setdefault("api-version", version)
    else:
        if query:
            message = "LiteLLM does not support extra_query; use engine='direct', or write it into the api_base"
            raise LMUnsupportedFeatureError(message, model=target.model, provider=target.provider.name)
        further |= {name: options[name] for name in ("organization", "api_version") if name in options}
    try:
        headers = headers_of(who, options.get("headers", {}))
    except AddressError as error:
        raise LMNotConfiguredError(str(error), model=target.model, provider=target.provider.name) from without_frames(
            error
        )
    return {"headers": headers, "query": SecretMapping(query), "further": SecretMapping(further)}


def _check(target: Target, base_url: str | None, key: str | None) -> None:
    provider = target.provider
    if target.engine == "direct" and base_url is None:
        message = f"{provider.name} has no address; set {provider.base_env[0]} or give the LM an api_base"
        raise LMNotConfiguredError(message, model=target.model, provider=provider.name)
    if base_url is not None and not base_url.lower().startswith(("http://", "https://")):
        message = f"the address {shown_address(base_url)!r} must begin with http:// or https://"
        raise LMNotConfiguredError(message, model=target.model, provider=provider.name)
    # A server at the user's own address may need no key.
    if provider.key_env and not key and target.base_url == provider.base_url:
        message = f"{provider.name} needs a key; set {provider.key_env[0]} or give the LM an api_key"
        raise LMNotConfiguredError(message, model=target.model, provider=provider.name)


def _chosen_engine(engine: EngineChoice) -> EngineName | None:
    chosen = os.environ.get("DSPEX_LM_ENGINE") or "auto" if engine == "auto" else engine
    match chosen:
        case "auto":
            return None
        case "direct" | "litellm":
            return chosen
    message = f"unknown engine {chosen!r}; use 'auto', 'direct' or 'litellm'"
    raise ConfigurationError(message)


def _base_url(provider: Provider, api_base: str | None) -> str | None:
    given = api_base or _from_env(provider.base_env)
    if not given:
        return provider.base_url
    if not isinstance(given, str):
        raise ConfigurationError(
            f"an LM's address is a text, such as 'http://localhost:8000/v1', not {value_text(given, 100)}"
        )
    base_url = _tidy(given)
    if provider is _OLLAMA and not base_url.endswith("/v1"):
        return AddressText(f"{base_url}/v1")  # users give the address of Ollama's native API, as for LiteLLM
    return base_url


def _tidy(address: str) -> str:
    return AddressText(address.strip().rstrip("/").removesuffix("/chat/completions").removesuffix("/responses"))


def _from_env(names: tuple[str, ...]) -> str | None:
    """Return the first of the variables that is set; files and shells often leave a line break at its end."""
    return next((value for name in names if (value := os.environ.get(name, "").strip())), None)
