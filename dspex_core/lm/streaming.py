"""Streaming: emits a reply piece by piece while it arrives, to a function or to a loop. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from dspex_core.flow.pipe import AsyncPipe, Pipe, StreamClosed
from dspex_core.flow.steps import Flow, adrive, drive
from dspex_core.messages import LMChunk, LMRequest, LMResponse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    Ask = Callable[[LMRequest], Flow[LMResponse]]


class Emitter:
    """Emits the pieces of one reply, and knows whether it has emitted any.

    An exception of `on_chunk` ends the call. It is raised as `StreamClosed`, which engines, retries and caches do not
    treat as a failure of the call.
    """

    __slots__ = ("_cancel", "_closed", "_on_chunk", "has_emitted")

    def __init__(self, on_chunk: Callable[[LMChunk], object]) -> None:
        self._on_chunk = on_chunk
        self._closed = False
        self._cancel: Callable[[], None] | None = None
        self.has_emitted = False

    def __call__(self, chunk: LMChunk) -> None:
        """Emit a piece.

        Raises:
            StreamClosed: The stream was closed, or `on_chunk` raised the error that is its cause.
        """
        if self._closed:
            raise StreamClosed
        self.has_emitted = True
        try:
            self._on_chunk(chunk)
        except Exception as error:
            raise StreamClosed from error

    def emit_whole(self, response: LMResponse) -> None:
        """Emit a response that did not come in pieces as one piece for each output."""
        for number, output in enumerate(response.outputs):
            if output.text or output.reasoning:
                self(LMChunk(output.text, output.reasoning or "", number))

    def connected(self, cancel: Callable[[], None]) -> None:
        """Store the function that cancels a reply while a thread waits for its next piece."""
        self._cancel = cancel

    def close(self) -> None:
        """Cancel the call: the stream was closed."""
        self._closed = True
        if self._cancel is not None:
            self._cancel()


class _OutputEmitter(Emitter):
    """Emits one of several outputs that are requested one by one."""

    __slots__ = ("_all",)

    def __init__(self, all_outputs: Emitter, number: int) -> None:
        super().__init__(lambda chunk: all_outputs(chunk._replace(output=number)))
        self._all = all_outputs

    def connected(self, cancel: Callable[[], None]) -> None:
        self._all.connected(cancel)


def for_output(request: LMRequest, number: int) -> LMRequest:
    """Return the request for one of several outputs that are requested one by one."""
    on_chunk = request.on_chunk
    if on_chunk is None:
        return request
    emitter = on_chunk if isinstance(on_chunk, Emitter) else Emitter(on_chunk)
    return replace(request, on_chunk=_OutputEmitter(emitter, number))


def has_emitted(request: LMRequest) -> bool:
    """Return whether any piece of the reply to a request was emitted."""
    return isinstance(request.on_chunk, Emitter) and request.on_chunk.has_emitted


def emitting(request: LMRequest, on_chunk: Callable[[LMChunk], None], ask: Ask) -> Flow[LMResponse]:
    """Answer a request and emit the reply: in pieces if it comes in pieces, else whole."""
    emitter = on_chunk if isinstance(on_chunk, Emitter) else Emitter(on_chunk)
    try:
        response = yield from ask(replace(request, on_chunk=emitter))
        if not emitter.has_emitted:
            emitter.emit_whole(response)
    except StreamClosed as stop:
        if stop.__cause__ is None:
            raise
        raise stop.__cause__ from None
    return response


def iterate(request: LMRequest, ask: Ask) -> Generator[LMChunk, None, None]:
    """Answer a request in a thread and yield its pieces; the settings are those at this call."""
    pipe = Pipe()
    emitter = Emitter(pipe.emit)
    flow = ask(replace(request, on_chunk=emitter))
    return pipe.during(partial(drive, flow), cancel=emitter.close)


def aiterate(request: LMRequest, ask: Ask) -> AsyncGenerator[LMChunk, None]:
    """Answer a request in a task and yield its pieces; the settings are those at this call."""
    pipe = AsyncPipe()
    return pipe.during(adrive(ask(replace(request, on_chunk=Emitter(pipe.emit)))))
