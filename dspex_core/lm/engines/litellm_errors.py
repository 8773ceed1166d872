"""Turns the exceptions of LiteLLM into `LMError`s. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dspex_core.errors.foreign_code import foreign_code

with foreign_code():
    import httpx  # comes with LiteLLM
    import openai  # comes with LiteLLM, whose errors derive from it
    from litellm.exceptions import ContextWindowExceededError as TooLongError
    from litellm.exceptions import MidStreamFallbackError, UnsupportedParamsError
    from litellm.exceptions import Timeout as LiteLLMTimeout

from dspex_core.errors import (
    ContextWindowExceededError,
    LMError,
    LMNotConfiguredError,
    LMResponseError,
    LMTimeoutError,
    LMTransportError,
    LMUnexpectedError,
    LMUnsupportedFeatureError,
)
from dspex_core.lm.engines.refusals import error_class, refusal
from dspex_core.lm.engines.wire import MISREAD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dspex_core.lm.providers import Endpoint

# The last ones come from inside LiteLLM, on odd addresses, settings and replies.
FAILURES = (openai.OpenAIError, httpx.HTTPError, httpx.InvalidURL, OSError, *MISREAD)

# The first that fits: a timeout is also a failure of the transport.
_ORIGINS: dict[type[BaseException], type[LMError]] = {
    TimeoutError: LMTimeoutError,
    LiteLLMTimeout: LMTimeoutError,
    httpx.TimeoutException: LMTimeoutError,
    httpx.TransportError: LMTransportError,
    OSError: LMTransportError,
    json.JSONDecodeError: LMResponseError,
    UnsupportedParamsError: LMUnsupportedFeatureError,
    TooLongError: ContextWindowExceededError,
}
_NOT_SET_UP = re.compile(r"LLM Provider NOT provided|missing .{0,40}(key|credential)", re.IGNORECASE)
_NO_COMPLETION = re.compile(r"provider returned .*'choices'|Invalid response object")
_INVENTED_STATUSES = (None, 422, 500)  # LiteLLM gives them to errors of its own code
_OWN_NAMES = re.compile(r"^(litellm\.\w+: )+| Handle with `litellm\.\w+`\.")


class Failures:
    """The failures of calls to one endpoint.

    Args:
        endpoint: The model and how it is reached; its credentials are in no message.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def failure(self, kind: type[LMError], message: str, status: int | None = None) -> LMError:
        """Return an error that names the model and its provider."""
        return kind(
            self._endpoint.without_credentials(message),
            model=self._endpoint.model,
            provider=self._endpoint.provider,
            status=status,
        )

    @contextmanager
    def foreseen(self) -> Iterator[None]:
        """Raise exceptions other than `FAILURES` as an `LMError`."""
        try:
            yield
        except (*FAILURES, LMError):
            raise
        except Exception as error:
            kind = _kind_of_cause([error]) or LMUnexpectedError
            raise self.failure(kind, str(error) or type(error).__name__) from error

    def classified(self, error: Exception, *, timeout: float) -> LMError:
        """Return one of `FAILURES` as an `LMError` by its cause: LiteLLM calls most errors those of the server.

        Args:
            error: The exception.
            timeout: The seconds that the call had, for the message.
        """
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, httpx.HTTPStatusError):
                return refusal(self._endpoint, cause.response.status_code, cause.response.headers, _content(cause))
            body = getattr(cause, "body", None)
            if type(cause) is openai.APIError and isinstance(body, dict):  # reported in the middle of a stream
                return refusal(self._endpoint, 200, {}, json.dumps(body).encode())
        if isinstance(error, MidStreamFallbackError) and error.original_exception is not None:
            error = error.original_exception
        said = str(error) or f"no whole reply within {timeout:g} seconds"
        message = _OWN_NAMES.sub("", said.splitlines()[0])
        if _NOT_SET_UP.search(message):
            advice = "write the model as provider/model and set the provider's key, or give the LM an api_base"
            return self.failure(LMNotConfiguredError, f"{message}\n{advice}")
        status = _status(error)
        misread = _misread(causes, status)
        if misread is not None:
            inner = str(misread).splitlines() or [""]
            message = f"LiteLLM could not make the call or read the reply: {type(misread).__name__}: {inner[0]}"
            if misread is not error:
                return self.failure(LMResponseError, message)
        return self.failure(_kind(error, message, causes=causes, status=status), message, status)


def _status(error: Exception) -> int | None:
    """Return the status of a LiteLLM error, which may be missing or a text."""
    status = getattr(error, "status_code", None)
    return int(status) if isinstance(status, int | str) and str(status).isdecimal() else None


def _kind(error: Exception, message: str, *, causes: Sequence[BaseException], status: int | None) -> type[LMError]:
    """Return the class of an error that no provider's reply caused."""
    if any(isinstance(cause, json.JSONDecodeError) and not cause.doc.strip() for cause in causes):
        return LMTransportError  # the reply is empty
    known = _kind_of_cause(causes)
    if known is not None:
        return known
    if _NO_COMPLETION.search(message):
        return LMResponseError
    return LMUnexpectedError if isinstance(error, MISREAD) else error_class(status or 500, message)


def _kind_of_cause(causes: Sequence[BaseException]) -> type[LMError] | None:
    return next((kind for cause in causes for origin, kind in _ORIGINS.items() if isinstance(cause, origin)), None)


def _misread(causes: Sequence[BaseException], status: int | None) -> BaseException | None:
    """Return an error of LiteLLM's own code, which it reports as one of the server, or with status 422."""
    if causes and isinstance(causes[0], MISREAD):
        return causes[0]
    inner = causes[1:] if status in _INVENTED_STATUSES and _kind_of_cause(causes) is None else ()
    return next((cause for cause in inner if isinstance(cause, MISREAD)), None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _content(error: httpx.HTTPStatusError) -> bytes:
    try:
        return error.response.content
    except httpx.ResponseNotRead:
        return b""
