"""Runs a program for its callers in this process. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import asyncio
import logging
import traceback
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dspex_core.config import context
from dspex_core.errors import ConfigurationError, ShuttingDownError, TimedOutError
from dspex_core.serve.contract import Contract, contract_of
from dspex_core.serve.interface import Piece, service_error
from dspex_core.serve.models import check_model
from dspex_core.spending.budget import Budget
from dspex_core.streaming.listener import StreamListener
from dspex_core.streaming.messages import StreamResponse
from dspex_core.streaming.streamed import streamify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.programs.base import Module
    from dspex_core.serve.interface import JSONObject, OnChunk, ServedProgram
    from dspex_core.signatures.signature import Signature

_log = logging.getLogger("dspex.serve")
# A service must neither grow with its calls nor log what they hold; inputs were checked already.
_QUIET = {"disable_history": True, "warn_on_type_mismatch": False}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may use; `None` is no limit.

    Args:
        calls: How many calls of models.
        tokens: How many tokens.
        usd: How many dollars.

    Raises:
        ConfigurationError: A limit is not a number, or below 0.
    """

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None

    def __post_init__(self) -> None:
        self.budget()  # a wrong one is an error now, not with each request

    def budget(self) -> Budget | None:
        """Return the budget of one request."""
        if self.calls is None and self.tokens is None and self.usd is None:
            return None
        return Budget(calls=self.calls, tokens=self.tokens, dollars=self.usd)


@dataclass(frozen=True, slots=True)
class ProgramRunner:
    """Runs a program on JSON data; workers use it, too.

    Args:
        program: The program.
        contract: What it takes and returns.
        limits: What one request may use.
        settings: Settings of all requests, such as `lm`.
    """

    program: Module
    contract: Contract
    limits: Limits = field(default_factory=Limits)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse a program that needs a model and has none.

        Raises:
            LMNotConfiguredError: It has none.
        """
        with context(**self.settings):
            check_model(self.program, name=self.contract.served.name)

    async def call(self, inputs: JSONObject, *, on_chunk: OnChunk | None = None) -> JSONObject:
        """Run the program without a limit of time; raise a `ServiceError` for every error of it."""
        values = self.contract.read(inputs)
        budget = self.limits.budget()
        try:
            with context(**_QUIET, **self.settings, **({"budget": budget} if budget else {})):
                result = await self._run(values, on_chunk)
        except Exception as error:  # noqa: BLE001  the program is the user's code
            found = service_error(error)
            if found is not error:
                _log.warning("%s failed: %s", self.contract.served.name, failure_text(error))
            raise found from None
        return self.contract.write(result)

    async def _run(self, values: dict[str, Any], on_chunk: OnChunk | None) -> Any:
        if on_chunk is None:
            return await self.program.acall(**values)
        result = None
        async with aclosing(streamify(self.program, stream_listeners=self._listeners())(**values)) as items:
            async for item in items:
                if isinstance(item, StreamResponse):
                    on_chunk(Piece(*item))
                else:
                    result = item  # the last one is what the program returns
        return result

    def _listeners(self) -> list[StreamListener]:
        """Return listeners to the program's outputs: where these are not known, to those of all its predictors."""
        outputs = self.contract.outputs
        return [
            StreamListener(name, predictor, path, allow_reuse=True)
            for path, predictor in self.program.every_predictor()
            for name in predictor.signature.output_fields
            if outputs is None or name in outputs
        ]


def failure_text(error: BaseException) -> str:
    """Say what failed and where, without the error's own words, which may quote inputs."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in reversed(frames[-3:]))
    return f"{type(error).__name__} at {where}"


class InProcessBackend:
    """Runs a program in the event loop of the service, for development and tests: one that blocks, blocks all.

    Args:
        runner: The program with what one call needs.
    """

    def __init__(self, runner: ProgramRunner) -> None:
        self._runner = runner
        self._calls: set[asyncio.Task[JSONObject]] = set()
        self._draining = False

    @property
    def program(self) -> ServedProgram:
        """The program that it runs."""
        return self._runner.contract.served

    async def start(self) -> None:
        """Check that the program has the model that it needs.

        Raises:
            LMNotConfiguredError: It has none.
        """
        self._runner.check()

    def ready(self) -> bool:
        """Return whether calls are begun."""
        return not self._draining

    async def call(self, inputs: JSONObject, *, timeout: float, on_chunk: OnChunk | None = None) -> JSONObject:  # noqa: ASYNC109  workers keep it, too
        """Run the program; see `Backend`."""
        if self._draining:
            raise ShuttingDownError("the service ends: send the request again, to another instance")
        task = asyncio.create_task(self._runner.call(inputs, on_chunk=on_chunk))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        try:
            async with asyncio.timeout(timeout):
                return await task
        except TimeoutError:
            raise TimedOutError(f"the program has not answered within {timeout:g} seconds") from None

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109  what is late is stopped
        """Begin no further call, and wait for those under way."""
        self._draining = True
        if self._calls:
            _, late = await asyncio.wait(self._calls, timeout=timeout)
            for task in late:
                task.cancel()


def in_process(
    program: Module,
    *,
    name: str | None = None,
    signature: str | type[Signature] | None = None,
    limits: Limits | None = None,
    **settings: Any,
) -> InProcessBackend:
    """Return a backend that runs a program in this process; `settings` are those of its calls, such as `lm`.

    Raises:
        ConfigurationError: The program cannot be served; see `describe`. Or a setting is not valid.
    """
    if not isinstance(limits, Limits | None):
        raise ConfigurationError(f"the limits of a program must be `Limits(...)`, not {limits!r}")
    with context(**settings):  # a wrong one is an error now, not with each request
        pass
    contract = contract_of(program, name=name, signature=signature)
    return InProcessBackend(ProgramRunner(program, contract, limits or Limits(), settings))
