"""Listeners to one output of a program while a model writes it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.adapters.streams import FieldChunk
from dspex_core.errors import ConfigurationError
from dspex_core.programs.asking import reasoning_outputs
from dspex_core.streaming.messages import StreamResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dspex_core.adapters.base import Adapter
    from dspex_core.adapters.streams import FieldStream
    from dspex_core.messages import LMChunk
    from dspex_core.programs.base import Module, Predictor
    from dspex_core.signatures.signature import Signature

    Emit = Callable[[StreamResponse | LMChunk], None]


@dataclass(frozen=True, slots=True, eq=False)
class StreamListener:
    """Selects an output that `streamify` emits while a model writes it.

    Args:
        signature_field_name: The output.
        predict: The predictor with this output; needed only if several have one of that name.
        predict_name: The predictor's name in chunks; by default its path in the program.
        allow_reuse: Whether to emit every call of the predictor in a run, instead of only the first.

    It has no state: one listener may serve many runs at once.
    """

    signature_field_name: str
    predict: Predictor | None = None
    predict_name: str | None = None
    allow_reuse: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """A listener and the predictor that it listens to."""

    listener: StreamListener
    name: str


def targets(program: Module, listeners: Sequence[StreamListener]) -> Mapping[int, list[Target]]:
    """Return the listeners of each predictor of a program, by the predictor's `id`.

    Raises:
        ConfigurationError: No predictor has the output, or several do.
    """
    found: dict[int, list[Target]] = {}
    named = program.every_predictor()
    for listener in listeners:
        name, predictor = _predictor_of(listener, named)
        found.setdefault(id(predictor), []).append(Target(listener, listener.predict_name or name))
    return found


def _predictor_of(listener: StreamListener, named: Sequence[tuple[str, Predictor]]) -> tuple[str, Predictor]:
    field, wanted = listener.signature_field_name, listener.predict
    having = [
        (name, predictor)
        for name, predictor in named
        if field in predictor.signature.output_fields and wanted in (None, predictor)
    ]
    match having:
        case [one]:
            return one
        case []:
            outputs = sorted({output for _, predictor in named for output in predictor.signature.output_fields})
            whose = "the predictor that was given" if wanted else "no predictor of the program"
            raise ConfigurationError(f"{whose} has the output {field!r} to listen to; use one of: {', '.join(outputs)}")
    names = ", ".join(repr(name) for name, _ in having)
    raise ConfigurationError(f"several predictors have an output {field!r}: {names}; give the listener one of them")


class Reader:
    """Receives the pieces of one reply."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def __call__(self, chunk: LMChunk) -> None:
        """Process the next piece."""
        self._emit(chunk)

    def close(self) -> None:
        """Process the end of the reply."""


class FieldReader(Reader):
    """Receives the pieces of one reply and emits those of outputs with a listener.

    Of several completions only the first is emitted.
    """

    def __init__(self, emit: Emit, targets: Sequence[Target], stream: FieldStream, reasoning: Sequence[str]) -> None:
        super().__init__(emit)
        self._listening = {target.listener.signature_field_name: target.name for target in targets}
        self._stream = stream
        self._reasoning = reasoning
        self._reasons = False

    def __call__(self, chunk: LMChunk) -> None:
        """Process the next piece."""
        if chunk.output != 0:
            return
        if chunk.reasoning:
            self._reasons = True
            self._hand_on([FieldChunk(name, chunk.reasoning) for name in self._reasoning])
        if chunk.text:
            self._end_reasoning()
            self._hand_on(self._stream.feed(chunk.text))

    def close(self) -> None:
        """Process the end of the reply."""
        self._end_reasoning()
        self._hand_on(self._stream.close())

    def _end_reasoning(self) -> None:
        if self._reasons:
            self._reasons = False
            self._hand_on([FieldChunk(name, "", last=True) for name in self._reasoning])

    def _hand_on(self, pieces: Iterable[FieldChunk]) -> None:
        for piece in pieces:
            name = self._listening.get(piece.field)
            if name is not None:
                self._emit(StreamResponse(name, piece.field, piece.text, piece.last))


class Router:
    """Routes the pieces of replies to listeners, in one run of a program.

    Args:
        emit: Receives each `StreamResponse`, or each `LMChunk` if there are no listeners.
        targets: The listeners of each predictor; `None` to emit the chunks themselves.
    """

    def __init__(self, emit: Emit, targets: Mapping[int, Sequence[Target]] | None) -> None:
        self._emit = emit
        self._targets = targets
        self._emitted: set[StreamListener] = set()

    @property
    def has_emitted(self) -> bool:
        """Whether anything was emitted."""
        return bool(self._emitted)

    async def send(self, item: Any) -> None:
        """Emit an item of the program's own: `await settings.send_stream.send(item)`."""
        self._emit(item)

    def reader(self, predictor: Predictor, adapter: Adapter, signature: type[Signature]) -> Reader | None:
        """Return the reader of one reply to a predictor; `None` if no listener wants it."""
        if self._targets is None:
            return Reader(self._emit)
        wanted = [
            target
            for target in self._targets.get(id(predictor), ())
            if target.listener.allow_reuse or target.listener not in self._emitted
        ]
        stream = adapter.field_stream(signature) if wanted else None
        if stream is None:
            return None
        self._emitted.update(target.listener for target in wanted)
        return FieldReader(self._emit, wanted, stream, reasoning_outputs(signature))
