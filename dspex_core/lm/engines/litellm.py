"""The LiteLLM engine: every provider that LiteLLM reaches. PYTEST_DONT_REWRITE

LiteLLM takes seconds to import, so the first call that needs this module imports it. LiteLLM's objects do not leave
this file.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.errors.foreign_code import foreign_code
from dspex_core.spending.prices import LOCAL_PRICES

os.environ.setdefault(*LOCAL_PRICES)

with foreign_code():
    import litellm
    import openai  # comes with LiteLLM, whose errors derive from it

from dspex_core.config import current
from dspex_core.errors import LMError, LMNotConfiguredError, LMResponseError, LMTransportError
from dspex_core.flow.threads import Crew, in_thread
from dspex_core.lm.engines.litellm_cleanup import clients, loops
from dspex_core.lm.engines.litellm_errors import FAILURES, Failures
from dspex_core.lm.engines.litellm_refusals import Refusals
from dspex_core.lm.engines.refusals import error_in_reply
from dspex_core.lm.engines.vectors import to_vectors
from dspex_core.lm.engines.wire import MISREAD, DeclinedError, RefusedError, wire_format
from dspex_core.lm.openai_form import plain
from dspex_core.lm.providers import PROVIDERS, Endpoint
from dspex_core.plain.secrets import SecretMapping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dspex_core.lm.engines.wire import ReplyInPieces
    from dspex_core.lm.providers import Target
    from dspex_core.messages import Json, LMRequest, LMResponse

litellm.suppress_debug_info = True  # suppresses advice printed at each error
litellm.telemetry = False


def _called(name: str, **given: Any) -> Any:
    """Call a function of LiteLLM, looked up at each call, since tests may replace it."""
    return getattr(litellm, name)(**given)


_CALLS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {  # sync and async
    "chat": (partial(_called, "completion"), partial(_called, "acompletion")),
    # LiteLLM's async form leaves a client open at each call.
    "text": (partial(_called, "text_completion"), partial(asyncio.to_thread, _called, "text_completion")),
    "responses": (partial(_called, "responses"), partial(_called, "aresponses")),
}
_PATIENCE = 2.0  # seconds for which a thread is kept: a new one for each call costs a tenth of it
_GRACE = 0.2  # seconds for LiteLLM's own timeout, whose error says more


class LiteLLMEngine:
    """Makes calls to one model through LiteLLM. Threads and event loops may share it.

    Args:
        endpoint: The model and how it is reached.
        stand_in_retries: The `num_retries` passed to a stand-in for LiteLLM's functions, which takes any model and key.
    """

    def __init__(self, endpoint: Endpoint, *, stand_in_retries: int | None = None) -> None:
        self._endpoint = endpoint
        self._failures = Failures(endpoint)
        self._threads = Crew(_PATIENCE)
        self._wire = wire_format(endpoint.model_type)
        self._call, self._acall = _CALLS[endpoint.model_type]
        self._fixed = SecretMapping(
            model=endpoint.model,
            num_retries=0,  # the client retries, for both engines alike
            max_retries=0,
        )
        self._fixed |= endpoint.further
        if endpoint.headers:
            self._fixed["extra_headers"] = endpoint.headers
        if endpoint.base_url:
            self._fixed["api_base"] = endpoint.base_url
        if endpoint.api_key:
            self._fixed["api_key"] = endpoint.api_key
        elif endpoint.base_url and endpoint.provider in PROVIDERS:
            self._fixed["api_key"] = "none"  # the user's own server needs no key, but LiteLLM requires one
        if endpoint.provider == "local":
            self._fixed["model"] = f"openai/{endpoint.name}"
        if stand_in_retries is not None:
            self._fixed["num_retries"], self._supports_schema = stand_in_retries, False
            return
        with foreign_code():
            self._check_provider()
            self._supports_schema = endpoint.provider == "local" or litellm.supports_response_schema(endpoint.model)

    def _check_provider(self) -> None:
        try:
            litellm.get_llm_provider(self._fixed["model"], api_base=self._endpoint.base_url)
        except openai.BadRequestError as error:
            message = (
                "LiteLLM does not know the provider of this model; write it as provider/model, such as "
                "'openai/gpt-4o-mini', or give the LM an api_base"
            )
            raise self._failures.failure(LMNotConfiguredError, message) from error

    def complete(self, request: LMRequest, *, timeout: float) -> LMResponse:
        """Make one try of a call, which may take `timeout` seconds in total.

        Raises:
            LMError: The try failed; `is_retryable` says whether another one may succeed.
        """
        return self._in_time(partial(self._complete, request, timeout), timeout)

    def _complete(self, request: LMRequest, timeout: float) -> LMResponse:
        deadline = time.monotonic() + timeout
        with self._failures.foreseen(), foreign_code(), loops.one_for_this_thread():
            reply = self._call(**self._fixed, **self._arguments(request), timeout=timeout)
        pieces = self._pieces(request)
        return self._response(reply) if pieces is None else self._streamed(reply, pieces, deadline)

    def _in_time(self, call: Callable[[], LMResponse], timeout: float) -> LMResponse:
        """Wait for a call in a thread, abandoned at the timeout: LiteLLM's own timeout restarts with each byte."""
        # A recorder knows calls by the thread that they start in, and who had a thread started.
        future = in_thread(call, self._threads if current().recorder is None else None)
        try:
            return future.result(timeout + _GRACE)
        except LMError:
            raise
        except FAILURES as error:
            raise self._failures.classified(error, timeout=timeout) from error

    async def acomplete(self, request: LMRequest, *, timeout: float) -> LMResponse:  # noqa: ASYNC109  LiteLLM uses it
        """`complete` without blocking the event loop."""
        await clients.get()
        try:
            # LiteLLM's timeout restarts with each piece of a reply.
            async with asyncio.timeout(timeout):
                with self._failures.foreseen(), foreign_code():
                    reply = await self._acall(**self._fixed, **self._arguments(request), timeout=timeout)
                pieces = self._pieces(request)
                return self._response(reply) if pieces is None else await self._astreamed(reply, pieces)
        except LMError:
            raise
        except FAILURES as error:
            raise self._failures.classified(error, timeout=timeout) from error

    def embed(self, texts: Sequence[str], config: Mapping[str, Any], *, timeout: float) -> LMResponse:
        """Make one try of embedding texts: each output is a vector, as text (see `vectors`).

        Raises:
            LMError: As `complete` does.
        """
        return self._in_time(partial(self._embed, list(texts), config, timeout), timeout)

    def _embed(self, texts: list[str], config: Mapping[str, Any], timeout: float) -> LMResponse:
        with self._failures.foreseen(), foreign_code(), loops.one_for_this_thread():
            reply = litellm.embedding(**self._fixed, **config, input=texts, timeout=timeout)
        return self._vectors(reply, len(texts))

    async def aembed(
        self,
        texts: Sequence[str],
        config: Mapping[str, Any],
        *,
        timeout: float,  # noqa: ASYNC109  as in acomplete
    ) -> LMResponse:
        """`embed` without blocking the event loop."""
        await clients.get()
        try:
            async with asyncio.timeout(timeout):
                with self._failures.foreseen(), foreign_code():
                    reply = await litellm.aembedding(**self._fixed, **config, input=list(texts), timeout=timeout)
        except LMError:
            raise
        except FAILURES as error:
            raise self._failures.classified(error, timeout=timeout) from error
        return self._vectors(reply, len(texts))

    def _vectors(self, reply: Any, n: int) -> LMResponse:
        try:
            response = to_vectors(_plain(reply), n=n)
        except MISREAD as error:
            raise self._failures.failure(LMResponseError, f"the reply does not hold {n} embeddings") from error
        return replace(response, cost=_cost(reply))

    def _pieces(self, request: LMRequest) -> ReplyInPieces | None:
        """Return the reader of a streamed reply, or `None` if the reply comes whole.

        Only chats with one output are streamed: LiteLLM mixes several outputs, and for other kinds of API it leaves
        connections open or warns at each event. Those replies are emitted as one piece.
        """
        if request.on_chunk is None or self._endpoint.model_type != "chat" or (request.config.get("n") or 1) > 1:
            return None
        return self._wire.in_pieces(request.on_chunk)

    def _arguments(self, request: LMRequest) -> Json:
        arguments = self._wire.body(request, supports_schema=self._supports_schema)
        if self._pieces(request) is not None:
            arguments["stream"] = True
            arguments.setdefault("stream_options", {"include_usage": True})
        return arguments

    def _response(self, reply: Any) -> LMResponse:
        try:
            response = self._wire.response(_plain(reply))
        except (RefusedError, DeclinedError) as error:
            raise error_in_reply(self._endpoint, error, {}) from error
        except MISREAD as error:
            raise self._misread() from error
        return replace(response, cost=_cost(reply))

    def _misread(self, *how: str) -> LMError:
        return self._failures.failure(LMResponseError, " ".join(("the reply is not", self._wire.EXPECTED, *how)))

    def _streamed(self, reply: Any, pieces: ReplyInPieces, deadline: float) -> LMResponse:
        refusals = Refusals(reply)
        try:
            while (event := _next(reply)) is not None:
                if time.monotonic() > deadline:
                    raise TimeoutError
                self._take(event, pieces)
        finally:
            source = reply.completion_stream  # LiteLLM leaves it open when reading stops
            if hasattr(source, "close"):
                with foreign_code():
                    source.close()
        return self._whole(reply, pieces, refusals)

    async def _astreamed(self, reply: Any, pieces: ReplyInPieces) -> LMResponse:
        refusals = Refusals(reply)
        try:
            while (event := await _anext(reply)) is not None:
                self._take(event, pieces)
        finally:
            with foreign_code():
                await reply.aclose()
        return self._whole(reply, pieces, refusals)

    def _take(self, event: Any, pieces: ReplyInPieces) -> None:
        try:
            pieces.read(_plain(event))
        except RefusedError as error:
            raise error_in_reply(self._endpoint, error, {}) from error
        except MISREAD as error:
            raise self._failures.failure(
                LMResponseError, f"the reply is not {self._wire.EXPECTED} in pieces"
            ) from error

    def _whole(self, reply: Any, pieces: ReplyInPieces, refusals: Refusals) -> LMResponse:
        for event in refusals.events():
            pieces.read(event)
        try:
            response = pieces.whole()
        except DeclinedError as error:
            raise error_in_reply(self._endpoint, error, {}) from error
        except MISREAD as error:
            raise self._failures.failure(
                LMResponseError, f"the reply is not {self._wire.EXPECTED} in pieces"
            ) from error
        if response is None or _broke_off(reply):
            raise self._failures.failure(LMTransportError, "the stream ended before the reply did")
        return response


def engine_of_stand_in(target: Target, api_key: str | None, *, num_retries: int) -> LiteLLMEngine:
    """Return an engine that calls a test's stand-in for LiteLLM's functions."""
    endpoint = Endpoint(
        target.model,
        target.name,
        target.provider.name,
        target.api_base,
        api_key=api_key,
        supports_schema=False,
        model_type=target.model_type,
    )
    return LiteLLMEngine(endpoint, stand_in_retries=num_retries)


def _next(stream: Any) -> Any:
    """Return a stream's next event, or `None` at its end. The caller processes it outside of LiteLLM's code."""
    with foreign_code():
        return next(stream, None)


async def _anext(stream: Any) -> Any:
    """`_next` without blocking the event loop."""
    with foreign_code():
        return await anext(stream, None)


def _broke_off(stream: Any) -> bool:
    """Whether the provider gave no reason for the end of a stream: LiteLLM then gives one of its own."""
    kinds = ("received", "intermittent", "received_any")
    return not any(getattr(stream, f"{kind}_finish_reason", True) for kind in kinds)


def _plain(reply: Any) -> Any:
    """Return a reply of LiteLLM or of a stand-in as plain data."""
    with foreign_code():
        return plain(reply)


def _cost(reply: Any) -> float | None:
    """Return dollars from where LiteLLM documents them; a stand-in's reply may lack the attribute."""
    hidden = getattr(reply, "_hidden_params", None)
    return hidden.get("response_cost") if isinstance(hidden, dict) else None
