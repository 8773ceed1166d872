"""The ways in which a user calls a language model: whole, safely, or piece by piece. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from dspex_core.errors import BudgetExceededError, LMError
from dspex_core.flow.steps import Flow, adrive, drive
from dspex_core.lm.asked import plain_request, request_of, returned
from dspex_core.lm.call_result import CallResult
from dspex_core.lm.streaming import aiterate, iterate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping, Sequence

    from dspex_core.messages import LMChunk, LMRequest, LMResponse


class Calls:
    """What users call, around one flow: `steps` of a request.

    The types let a subclass override `__call__`, `acall`, `forward` and `aforward` in each of DSPy's forms.
    """

    def steps(self, request: LMRequest) -> Flow[LMResponse]:
        """Answer a request, by a subclass's own way if it has one."""
        raise NotImplementedError

    def _steps(self, request: LMRequest) -> Flow[LMResponse]:
        """Answer a request by the way that all LMs have in common."""
        raise NotImplementedError

    def request(self, request: LMRequest) -> LMResponse:
        """Answer a program's request: from the cassette where there is one, else live."""
        return drive(self.steps(request))

    async def arequest(self, request: LMRequest) -> LMResponse:
        """`request` without blocking the event loop."""
        return await adrive(self.steps(request))

    @overload
    def __call__(self, prompt: str | None = None, messages: Any = None, **config: Any) -> list[Any]: ...

    @overload
    def __call__(self, *items: Any, **config: Any) -> Any: ...

    def __call__(
        self,
        *items: Any,
        prompt: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        request: LMRequest | None = None,
        **config: Any,
    ) -> Any:
        """Ask with a prompt, with chat messages, or with the items of a typed call: `lm(System("..."), User("..."))`.

        Returns:
            The `LMResponse` for a request, and with the setting `experimental`. Else a list with the text of each of
            the `n` outputs; an output with more than text is a dict with `"text"` and, if present,
            `"reasoning_content"`, `"tool_calls"`, `"logprobs"` and `"citations"`.
        """
        asked = request_of(items, config, prompt=prompt, messages=messages, request=request)
        return returned(drive(self._steps(asked)), items, request)

    @overload
    async def acall(self, prompt: str | None = None, messages: Any = None, **config: Any) -> list[Any]: ...

    @overload
    async def acall(self, *items: Any, **config: Any) -> Any: ...

    async def acall(
        self,
        *items: Any,
        prompt: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        request: LMRequest | None = None,
        **config: Any,
    ) -> Any:
        """Call the LM without blocking the event loop."""
        asked = request_of(items, config, prompt=prompt, messages=messages, request=request)
        return returned(await adrive(self._steps(asked)), items, request)

    def try_call(
        self, prompt: str | None = None, messages: Sequence[Mapping[str, Any]] | None = None, **config: Any
    ) -> CallResult:
        """Call the LM; return a failure instead of raising it."""
        try:
            return CallResult(self.request(plain_request(prompt, messages, config)))
        except (LMError, BudgetExceededError) as error:
            return CallResult(error=error)

    async def atry_call(
        self, prompt: str | None = None, messages: Sequence[Mapping[str, Any]] | None = None, **config: Any
    ) -> CallResult:
        """`try_call` without blocking the event loop."""
        try:
            return CallResult(await self.arequest(plain_request(prompt, messages, config)))
        except (LMError, BudgetExceededError) as error:
            return CallResult(error=error)

    def stream(
        self, prompt: str | None = None, messages: Sequence[Mapping[str, Any]] | None = None, **config: Any
    ) -> Generator[LMChunk, None, None]:
        """Call the LM and return its reply piece by piece; the whole is then the last in `history`.

        The call is made in a thread when iteration starts. Closing the generator, as leaving a loop does, cancels the
        call and closes its connection; a cancelled call is not in the history.

        Raises:
            LMError: While iterating: the call failed. After the first piece it is not retried.
        """
        return iterate(plain_request(prompt, messages, config), self.steps)

    def astream(
        self, prompt: str | None = None, messages: Sequence[Mapping[str, Any]] | None = None, **config: Any
    ) -> AsyncGenerator[LMChunk, None]:
        """`stream` without blocking the event loop: the call is made in a task."""
        return aiterate(plain_request(prompt, messages, config), self.steps)
