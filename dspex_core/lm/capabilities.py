"""What a model is known to support: by provider, or by LiteLLM's table of models. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.errors.foreign_code import foreign_code
from dspex_core.spending.prices import keep_prices_local

if TYPE_CHECKING:
    from dspex_core.lm.providers import Target

_LIKE_OPENAI = "openai"  # LiteLLM's name of the providers that take what OpenAI's own API takes


def reasons(target: Target) -> bool:
    """Return whether LiteLLM knows the model as one that thinks before it answers."""
    return target.provider.name != "local" and bool(_litellm().supports_reasoning(target.model))


def takes_schemas(target: Target) -> bool:
    """Return whether replies can be held to a JSON schema: as the engine does, or as LiteLLM's table says."""
    if target.engine == "direct":
        return target.supports_schema
    provider = _provider(target)
    return bool(_litellm().supports_response_schema(model=target.model, custom_llm_provider=provider))


def parameters(target: Target) -> set[str]:
    """Return the names of the sampling parameters that the model takes, as OpenAI names them."""
    asked = _litellm().get_supported_openai_params
    found = asked(model=target.model, custom_llm_provider=_provider(target))
    return set(found or asked(model=target.model, custom_llm_provider=_LIKE_OPENAI))


def _provider(target: Target) -> str:
    prefix, slash, _ = target.model.partition("/")
    return prefix if slash else _LIKE_OPENAI


def _litellm() -> Any:
    with foreign_code():
        keep_prices_local()
        import litellm  # seconds, and only for who asks

        return litellm
