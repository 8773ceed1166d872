"""Telling a reply piece by piece while it arrives, to a function or to a loop. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from dspex_core.flow.pipe import AsyncPipe, Pipe, StopTelling
from dspex_core.flow.steps import Flow, adrive, drive
from dspex_core.messages import LMChunk, LMRequest, LMResponse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    Ask = Callable[[LMRequest], Flow[LMResponse]]


class Teller:
    """Tells the pieces of one reply, and knows whether it has told any.

    What the function that is told raises ends the call. It travels as `StopTelling`, which neither
    engine nor retries nor cache take for a failure of the call.
    """

    __slots__ = ("_closed", "_hang_up", "_on_chunk", "told")

    def __init__(self, on_chunk: Callable[[LMChunk], object]) -> None:
        self._on_chunk = on_chunk
        self._closed = False
        self._hang_up: Callable[[], None] | None = None
        self.told = False

    def __call__(self, chunk: LMChunk) -> None:
        """Tell a piece.

        Raises:
            StopTelling: Nobody listens any more; or its cause is what the listener raised.
        """
        if self._closed:
            raise StopTelling
        self.told = True
        try:
            self._on_chunk(chunk)
        except Exception as error:
            raise StopTelling from error

    def tell_whole(self, response: LMResponse) -> None:
        """Tell a response that did not come in pieces as one piece for each output."""
        for number, output in enumerate(response.outputs):
            if output.text or output.reasoning:
                self(LMChunk(output.text, output.reasoning or "", number))

    def connected(self, hang_up: Callable[[], None]) -> None:
        """Take note of how to end a reply of which a thread awaits the next piece."""
        self._hang_up = hang_up

    def close(self) -> None:
        """Let the call end: nobody listens any more."""
        self._closed = True
        if self._hang_up is not None:
            self._hang_up()


class _OutputTeller(Teller):
    """Tells one of several outputs that are asked for one by one."""

    __slots__ = ("_all",)

    def __init__(self, all_outputs: Teller, number: int) -> None:
        super().__init__(lambda chunk: all_outputs(chunk._replace(output=number)))
        self._all = all_outputs

    def connected(self, hang_up: Callable[[], None]) -> None:
        self._all.connected(hang_up)


def for_output(request: LMRequest, number: int) -> LMRequest:
    """Return the request for one of several outputs that are asked for one by one."""
    on_chunk = request.on_chunk
    if on_chunk is None:
        return request
    teller = on_chunk if isinstance(on_chunk, Teller) else Teller(on_chunk)
    return replace(request, on_chunk=_OutputTeller(teller, number))


def was_told(request: LMRequest) -> bool:
    """Say whether any piece of the reply to a request was told."""
    return isinstance(request.on_chunk, Teller) and request.on_chunk.told


def telling(request: LMRequest, on_chunk: Callable[[LMChunk], None], ask: Ask) -> Flow[LMResponse]:
    """Answer a request and tell the reply: in pieces if it comes in pieces, else whole."""
    teller = on_chunk if isinstance(on_chunk, Teller) else Teller(on_chunk)
    try:
        response = yield from ask(replace(request, on_chunk=teller))
        if not teller.told:
            teller.tell_whole(response)
    except StopTelling as stop:
        if stop.__cause__ is None:
            raise
        raise stop.__cause__ from None
    return response


def iterate(request: LMRequest, ask: Ask) -> Generator[LMChunk, None, None]:
    """Answer a request in a thread and return what it tells; the settings are those of this moment."""
    pipe = Pipe()
    teller = Teller(pipe.tell)
    flow = ask(replace(request, on_chunk=teller))
    return pipe.during(partial(drive, flow), hang_up=teller.close)


def aiterate(request: LMRequest, ask: Ask) -> AsyncGenerator[LMChunk, None]:
    """Answer a request in a task and return what it tells; the settings are those of this moment."""
    pipe = AsyncPipe()
    return pipe.during(adrive(ask(replace(request, on_chunk=Teller(pipe.tell)))))
