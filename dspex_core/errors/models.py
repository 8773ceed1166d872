"""Failed calls to language models. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from dspex_core.errors.base import DSPexError

if TYPE_CHECKING:
    from collections.abc import Sequence


class LMError(DSPexError):
    """A call to a language model that failed.

    Args:
        message: What went wrong and what to do next.
        model: The model string, such as `"openai/gpt-4o-mini"`.
        provider: The provider's name, such as `"openai"`.
        status: The HTTP status of the reply, if there was one.
        code: The kind of the failure, such as `"rate_limit"`; each class has its own.
        request_id: The provider's id of the request, if it sent one.
        retry_after: Seconds that the provider asked to wait before the next try.
        provider_code: The provider's own error code, if it sent one.
    """

    is_retryable: ClassVar[bool] = False
    default_code: ClassVar[str] = "lm_error"
    default_message: ClassVar[str] = ""

    def __init__(
        self,
        message: str = "",
        *,
        model: str | None = None,
        provider: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        provider_code: str | None = None,
    ) -> None:
        self.message = message = message or self.default_message
        self.model = model
        self.provider = provider
        self.status = status
        self.code = code or self.default_code
        self.provider_code = provider_code
        self.request_id = request_id
        self.retry_after = retry_after
        super().__init__(f"[{model}] {message}" if model else message)


class LMConfigurationError(LMError, ValueError):
    """The LM is set up in a way that cannot work."""

    default_code = "configuration"


class LMNotConfiguredError(LMConfigurationError):
    """The call cannot be made: no LM, no such provider, no key, or no weights."""

    default_code = "not_configured"


class LMUnsupportedFeatureError(LMError):
    """The model or the engine cannot do what was asked; `features` names what, `issues` says why."""

    default_code = "unsupported_feature"

    def __init__(
        self, message: str = "", *, features: Sequence[str] = (), issues: Sequence[str] = (), **known: Any
    ) -> None:
        self.features = list(features)
        self.issues = list(issues)
        super().__init__(message, **known)


class LMUnexpectedError(LMError):
    """The call failed in a way that nobody foresaw; the cause says how."""

    default_code = "unexpected"


class LMTransportError(LMError):
    """No whole reply arrived: the connection failed or broke."""

    default_code = "transport"
    is_retryable = True


class LMResponseError(LMError):
    """The reply is not what the wire format promises."""

    default_code = "response"


class LMRefusalError(LMError):
    """The model refused to answer, in the words of the message, or the provider's filter withheld the answer."""

    default_code = "refusal"


class LMProviderError(LMError):
    """The provider failed to serve the request, or refused it."""

    default_code = "provider"


class LMTimeoutError(LMProviderError):
    """No whole reply arrived in the time allowed."""

    default_code = "timeout"
    is_retryable = True


class LMAuthError(LMProviderError):
    """The provider refused the credentials."""

    default_code = "auth"


class LMBillingError(LMProviderError):
    """The provider refused because the account cannot pay for the call."""

    default_code = "billing"


class LMRateLimitError(LMProviderError):
    """The provider refused because too many requests were made."""

    default_code = "rate_limit"
    is_retryable = True


class LMServerError(LMProviderError):
    """The provider failed while it served the request."""

    default_code = "server"
    is_retryable = True


class LMInvalidRequestError(LMProviderError):
    """The provider refused the request as invalid."""

    default_code = "invalid_request"


class LMUnsupportedModelError(LMInvalidRequestError):
    """The provider has no such model."""

    default_code = "unsupported_model"


class ContextWindowExceededError(LMInvalidRequestError):
    """The prompt (and the completion asked for) is longer than the model allows."""

    default_code = "context_window_exceeded"
    default_message = "the prompt is longer than the model allows"


def is_retryable_lm_error(error: BaseException) -> bool:
    """Return whether another try of the call may do better."""
    return isinstance(error, LMError) and error.is_retryable
