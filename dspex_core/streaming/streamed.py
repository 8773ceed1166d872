"""Streams a program's outputs and status messages while it runs. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, overload

from dspex_core.config import context, current
from dspex_core.example import Prediction
from dspex_core.flow.pipe import AsyncPipe, Pipe
from dspex_core.flow.steps import adrive
from dspex_core.plain.data import to_json
from dspex_core.programs.base import running
from dspex_core.streaming.listener import Router, targets
from dspex_core.streaming.messages import StatusMessage, StatusMessageProvider
from dspex_core.telemetry.callbacks import BaseCallback

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from dspex_core.programs.base import Module
    from dspex_core.streaming.listener import StreamListener, Target

    Emit = Callable[[Any], None]


@overload
def streamify(
    program: Module,
    status_message_provider: StatusMessageProvider | None = None,
    stream_listeners: Sequence[StreamListener] | None = None,
    include_final_prediction_in_output_stream: bool = True,  # noqa: FBT001, FBT002  DSPy's signature
    is_async_program: bool = False,  # noqa: FBT001, FBT002  DSPy's signature
    async_streaming: Literal[True] = True,  # noqa: FBT002  DSPy's signature
) -> Callable[..., AsyncGenerator[Any, None]]: ...


@overload
def streamify(
    program: Module,
    status_message_provider: StatusMessageProvider | None = None,
    stream_listeners: Sequence[StreamListener] | None = None,
    include_final_prediction_in_output_stream: bool = True,  # noqa: FBT001, FBT002  DSPy's signature
    is_async_program: bool = False,  # noqa: FBT001, FBT002  DSPy's signature
    *,
    async_streaming: Literal[False],
) -> Callable[..., Generator[Any, None, None]]: ...


@overload
def streamify(
    program: Module,
    status_message_provider: StatusMessageProvider | None = None,
    stream_listeners: Sequence[StreamListener] | None = None,
    include_final_prediction_in_output_stream: bool = True,  # noqa: FBT001, FBT002  DSPy's signature
    is_async_program: bool = False,  # noqa: FBT001, FBT002  DSPy's signature
    async_streaming: bool = True,  # noqa: FBT001, FBT002  DSPy's signature
) -> Callable[..., Any]: ...


def streamify(
    program: Module,
    status_message_provider: StatusMessageProvider | None = None,
    stream_listeners: Sequence[StreamListener] | None = None,
    include_final_prediction_in_output_stream: bool = True,  # noqa: FBT001, FBT002  DSPy's signature
    is_async_program: bool = False,  # noqa: ARG001, FBT001, FBT002  DSPy's signature
    async_streaming: bool = True,  # noqa: FBT001, FBT002  DSPy's signature
) -> Callable[..., Any]:
    """Return a function of the program's inputs that returns an iterator over the running program's items.

    Args:
        program: The program. It is not changed.
        status_message_provider: Writes the status messages; by default, for calls of tools.
        stream_listeners: Selects the outputs to emit as they are written. Without listeners, the pieces of all replies
            are emitted.
        include_final_prediction_in_output_stream: Whether the prediction comes last; it always does if nothing else was
            emitted.
        is_async_program: No effect, since every program can be awaited; accepted for DSPy's code.
        async_streaming: Whether the iterator is for `async for`; else it is for `for`, and the
            program runs in a thread.

    The iterator yields `StreamResponse` (or `LMChunk` where there are no listeners),
    `StatusMessage` and the `Prediction`. It raises the program's error. Closing it early cancels the program; in a
    thread, the program ends at its next item.

    Raises:
        ConfigurationError: A listener's output is not that of one predictor.
    """
    found = targets(program, stream_listeners) if stream_listeners else None
    provider = status_message_provider or StatusMessageProvider()

    run = _Run(program, found, provider, emits_prediction=include_final_prediction_in_output_stream)
    return run.astreamed if async_streaming else run.streamed


@dataclass(frozen=True, slots=True)
class _Run:
    """The runs of a streamed program."""

    program: Module
    targets: Mapping[int, Sequence[Target]] | None
    provider: StatusMessageProvider
    emits_prediction: bool

    async def astreamed(self, *args: Any, **inputs: Any) -> AsyncGenerator[Any, None]:
        pipe = AsyncPipe()
        async with aclosing(pipe.during(self._arun(pipe.emit, args, inputs))) as items:
            async for item in items:
                yield item

    def streamed(self, *args: Any, **inputs: Any) -> Generator[Any, None, None]:
        pipe = Pipe()
        return pipe.during(partial(self._run, pipe.emit, args, inputs))

    async def _arun(self, emit: Emit, args: tuple[Any, ...], inputs: dict[str, Any]) -> None:
        router = Router(emit, self.targets)
        with self._streaming(emit, router):
            prediction = await adrive(running(self.program, *args, **inputs))
        self._end(emit, router, prediction)

    def _run(self, emit: Emit, args: tuple[Any, ...], inputs: dict[str, Any]) -> None:
        router = Router(emit, self.targets)
        with self._streaming(emit, router):
            prediction = self.program(*args, **inputs)
        self._end(emit, router, prediction)

    def _streaming(self, emit: Emit, router: Router) -> AbstractContextManager[Any]:
        return context(stream=router, listeners=(*current().listeners, _Statuses(emit, self.provider)))

    def _end(self, emit: Emit, router: Router, prediction: Any) -> None:
        if self.emits_prediction or not router.has_emitted:
            emit(prediction)


class _Statuses(BaseCallback):
    """Emits the provider's status messages for the steps of a run."""

    def __init__(self, emit: Emit, provider: StatusMessageProvider) -> None:
        self._emit = emit
        self._provider = provider

    def on_tool_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self._say(self._provider.tool_start_status_message(instance, inputs))

    def on_tool_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        self._say(self._provider.tool_end_status_message(outputs))

    def on_module_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self._say(self._provider.module_start_status_message(instance, inputs))

    def on_module_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        self._say(self._provider.module_end_status_message(outputs))

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self._say(self._provider.lm_start_status_message(instance, inputs))

    def on_lm_end(self, call_id: str, outputs: list[str] | None, exception: BaseException | None = None) -> None:
        self._say(self._provider.lm_end_status_message(outputs))

    def _say(self, message: str | None) -> None:
        if message:
            self._emit(StatusMessage(message))


def apply_sync_streaming(async_generator: AsyncIterable[Any]) -> Generator[Any, None, None]:
    """Iterate over the async iterator of `streamify` from sync code: the program runs in an event loop in a thread."""
    pipe = Pipe()

    async def read() -> None:
        async for item in async_generator:
            pipe.emit(item)

    return pipe.during(lambda: asyncio.run(read()))


async def streaming_response(streamer: AsyncIterable[Any]) -> AsyncGenerator[str, None]:
    """Turn the items of `streamify` into server-sent events for a web service.

    Each is a line `data: {...}` with the keys `chunk`, `status` or `prediction`; the last is `data: [DONE]`.
    """
    async for item in streamer:
        yield f"data: {json.dumps(_event(item), ensure_ascii=False)}\n\n"
    yield "data: [DONE]\n\n"


def _event(item: Any) -> dict[str, Any]:
    match item:
        case Prediction():
            return {"prediction": to_json(item.toDict())}
        case StatusMessage(message):
            return {"status": message}
    return {"chunk": item._asdict()}
