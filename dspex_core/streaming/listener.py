"""Listening to one output of a program while a model writes it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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

    Tell = Callable[[StreamResponse | LMChunk], None]


@dataclass(frozen=True, slots=True, eq=False)
class StreamListener:
    """Which output `streamify` tells while a model writes it.

    Args:
        signature_field_name: The output.
        predict: The predictor that has it; needed only where several have one of that name.
        predict_name: What its chunks call the predictor; by default its path in the program.
        allow_reuse: Whether to tell each of the predictor's calls in a run, and not the first alone.

    It keeps nothing: one may serve many runs at once.
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
    """Return who listens to which predictor of a program, by the predictor's `id`.

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
            raise ConfigurationError(f"{whose} has the output {field!r} to listen to; there are: {', '.join(outputs)}")
    names = ", ".join(repr(name) for name, _ in having)
    raise ConfigurationError(f"several predictors have an output {field!r}: {names}; give the listener one of them")


class Reader:
    """Takes the pieces of one reply."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def __call__(self, chunk: LMChunk) -> None:
        """Take the next piece."""
        self._tell(chunk)

    def close(self) -> None:
        """Take the end of the reply."""


class FieldReader(Reader):
    """Takes the pieces of one reply and tells those of the outputs that somebody listens to.

    Of several completions the first is told.
    """

    def __init__(self, tell: Tell, targets: Sequence[Target], stream: FieldStream, reasoning: Sequence[str]) -> None:
        super().__init__(tell)
        self._listening = {target.listener.signature_field_name: target.name for target in targets}
        self._stream = stream
        self._reasoning = reasoning
        self._reasons = False

    def __call__(self, chunk: LMChunk) -> None:
        """Take the next piece."""
        if chunk.output != 0:
            return
        if chunk.reasoning:
            self._reasons = True
            self._hand_on([FieldChunk(name, chunk.reasoning) for name in self._reasoning])
        if chunk.text:
            self._end_reasoning()
            self._hand_on(self._stream.feed(chunk.text))

    def close(self) -> None:
        """Take the end of the reply."""
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
                self._tell(StreamResponse(name, piece.field, piece.text, piece.last))


class Router:
    """Brings the pieces of replies to those who listen, in one run of a program.

    Args:
        tell: Is given each `StreamResponse`, or each `LMChunk` where nobody listens to an output.
        targets: Who listens to which predictor; `None` where the chunks themselves are wanted.
    """

    def __init__(self, tell: Tell, targets: Mapping[int, Sequence[Target]] | None) -> None:
        self._tell = tell
        self._targets = targets
        self._heard: set[StreamListener] = set()

    @property
    def heard(self) -> bool:
        """Whether a listener has heard anything."""
        return bool(self._heard)

    def reader(self, predictor: Predictor, adapter: Adapter, signature: type[Signature]) -> Reader | None:
        """Return what takes the pieces of one reply to a predictor; `None` where nobody wants them."""
        if self._targets is None:
            return Reader(self._tell)
        wanted = [
            target
            for target in self._targets.get(id(predictor), ())
            if target.listener.allow_reuse or target.listener not in self._heard
        ]
        stream = adapter.field_stream(signature) if wanted else None
        if stream is None:
            return None
        self._heard.update(target.listener for target in wanted)
        return FieldReader(self._tell, wanted, stream, reasoning_outputs(signature))
