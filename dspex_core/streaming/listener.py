"""Listeners to one output of a program while a model writes it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.adapters.shown_fields import without
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

    Args:
        emit: Receives each `StreamResponse`.
        targets: The listeners.
        stream: Reads the reply; told whether the model has returned its reasoning apart.
        reasoning: The outputs that the reasoning is.
        emitted: The outputs of which earlier replies to the same question, that could not be read, have emitted some.
    """

    def __init__(
        self,
        emit: Emit,
        targets: Sequence[Target],
        stream: Callable[[bool], FieldStream],
        reasoning: Sequence[str],
        emitted: set[str],
    ) -> None:
        super().__init__(emit)
        self._listening = {target.listener.signature_field_name: target.name for target in targets}
        self._made_stream = stream
        self._stream: FieldStream | None = None
        self._reasoning = reasoning
        self._reasons = self._has_reasoned = False
        self._emitted, self._drafts = emitted, set(emitted)

    def __call__(self, chunk: LMChunk) -> None:
        """Process the next piece."""
        if chunk.output != 0:
            return
        if chunk.reasoning:
            self._reasons = self._has_reasoned = True
            self._hand_on([FieldChunk(name, chunk.reasoning) for name in self._reasoning])
        if chunk.text:
            self._end_reasoning()
            self._hand_on(self._text_stream().feed(chunk.text))

    def close(self) -> None:
        """Process the end of the reply."""
        self._end_reasoning()
        self._hand_on(self._text_stream().close())
        self._hand_on([FieldChunk(name, "", last=True) for name in self._drafts])  # which this reply lacks

    def _text_stream(self) -> FieldStream:
        if self._stream is None:
            self._stream = self._made_stream(self._has_reasoned)
        return self._stream

    def _end_reasoning(self) -> None:
        if self._reasons:
            self._reasons = False
            self._hand_on([FieldChunk(name, "", last=True) for name in self._reasoning])

    def _hand_on(self, pieces: Iterable[FieldChunk]) -> None:
        for field, text, last, replaces in list(pieces):
            name = self._listening.get(field)
            if name is not None:
                self._emit(StreamResponse(name, field, text, last, replaces or field in self._drafts))
                self._drafts.discard(field)
                self._emitted.add(field)


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

    def replies(self, predictor: Predictor) -> Replies:
        """Return what gives the replies to one question to a predictor their readers."""
        return Replies(self, predictor)

    def claimed(self, predictor: Predictor) -> Sequence[Target]:
        """Return the listeners that want the replies to a question; from then on they have emitted something."""
        wanted = [
            target
            for target in (self._targets or {}).get(id(predictor), ())
            if target.listener.allow_reuse or target.listener not in self._emitted
        ]
        self._emitted.update(target.listener for target in wanted)
        return wanted

    def whole_reader(self) -> Reader | None:
        """Return the reader that emits all of a reply; `None` if there are listeners."""
        return Reader(self._emit) if self._targets is None else None

    def field_reader(
        self,
        targets: Sequence[Target],
        stream: Callable[[bool], FieldStream],
        reasoning: Sequence[str],
        emitted: set[str],
    ) -> Reader:
        """Return the reader that emits the outputs with a listener."""
        return FieldReader(self._emit, targets, stream, reasoning, emitted)


class Replies:
    """The readers of the replies to one question, of which a program asks again if one cannot be read."""

    def __init__(self, router: Router, predictor: Predictor) -> None:
        self._router = router
        self._predictor = predictor
        self._targets: Sequence[Target] | None = None
        self._emitted: set[str] = set()

    def __call__(self, adapter: Adapter, signature: type[Signature], apart: Sequence[str]) -> Reader | None:
        """Return the reader of one reply; `None` if no listener wants it.

        Args:
            adapter: Reads the reply.
            signature: Whose outputs it has.
            apart: The outputs that are not in its text.
        """
        whole = self._router.whole_reader()
        asked = without(signature, *apart)
        if whole is not None or adapter.field_stream(asked) is None:
            return whole
        if self._targets is None:
            self._targets = self._router.claimed(self._predictor)
        if not self._targets:
            return None
        reasoning = reasoning_outputs(signature)

        def stream(has_reasoned: bool) -> FieldStream:  # noqa: FBT001  the one argument
            names = [name for name in reasoning if name in asked.output_fields] if has_reasoned else ()
            made = adapter.field_stream(without(asked, *names))
            assert made is not None, "it depends on the adapter alone"
            return made

        return self._router.field_reader(self._targets, stream, reasoning, self._emitted)
