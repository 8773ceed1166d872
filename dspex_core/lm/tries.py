"""One try of a call: the engine that makes it, and the step that waits for it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from dspex_core.flow import forks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dspex_core.lm.providers import Endpoint, EngineName
    from dspex_core.messages import LMRequest, LMResponse


class Engine(Protocol):
    """Makes single tries of calls to one endpoint; a failed try raises an `LMError`."""

    def complete(self, request: LMRequest, *, timeout: float) -> LMResponse:
        """Make one try, of at most `timeout` seconds in total; `request.on_chunk` receives the reply's pieces."""

    async def acomplete(self, request: LMRequest, *, timeout: float) -> LMResponse:  # noqa: ASYNC109  HTTP clients use it
        """Make the try without blocking the event loop."""

    def embed(self, texts: Sequence[str], config: Mapping[str, Any], *, timeout: float) -> LMResponse:
        """Make one try of embedding texts."""

    async def aembed(
        self,
        texts: Sequence[str],
        config: Mapping[str, Any],
        *,
        timeout: float,  # noqa: ASYNC109  as in acomplete
    ) -> LMResponse:
        """`embed` without blocking the event loop."""


@dataclass(frozen=True, slots=True)
class Try:
    """The step of one try of a call."""

    engine: Engine | None  # `None` before the first call
    connect: Callable[[], Engine]
    request: LMRequest
    timeout: float

    def run(self) -> LMResponse:
        """Try and wait."""
        return (self.engine or self.connect()).complete(self.request, timeout=self.timeout)

    async def arun(self) -> LMResponse:
        """Try without blocking the event loop."""
        engine = self.engine
        if engine is None:  # connecting may take seconds: LiteLLM's import, or the embedded server's start
            import asyncio  # as in flow/steps

            engine = await asyncio.to_thread(self.connect)
        return await engine.acomplete(self.request, timeout=self.timeout)


def engine_for(name: EngineName, endpoint: Endpoint) -> Engine:
    """Return a new engine for an endpoint."""
    # Each imports its own HTTP client, so only the engine in use is loaded.
    with forks.loading():
        if name == "direct":
            from dspex_core.lm.engines.direct import DirectEngine as Chosen
        else:
            from dspex_core.lm.engines.litellm import LiteLLMEngine as Chosen  # type: ignore[assignment]  # both fit
    return Chosen(endpoint)
