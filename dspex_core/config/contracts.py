"""Protocols between the parts: a model, a listener, a recorder, a cache, a reader of replies. PYTEST_DONT_REWRITE

These are types alone. Parts that are built on others can be named here without being imported.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.errors import LMError
    from dspex_core.example import Prediction
    from dspex_core.messages import LMChunk, LMRequest, LMResponse

Moment = Literal["start", "stop", "exception"]


class Event(NamedTuple):  # a frozen dataclass would take three times as long to make
    """One moment of a span.

    Args:
        kind: The kind of component: `"lm"`, `"tool"`, `"module"`, ...
        moment: Which moment of the span.
        span_id: The same for the events of one span; no other span of the machine's processes has it.
        parent_id: The span that this one runs inside of.
        time: Seconds since the epoch.
        duration: Seconds since the start; `None` at the start.
        attributes: The `instance` that runs and its inputs, at the end its `result`, or the `error` that it
            raised. The values are the program's own: do not change them.
    """

    kind: str
    moment: Moment
    span_id: str
    parent_id: str | None
    time: float
    duration: float | None
    attributes: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of the event: `dspex.<kind>.<moment>`."""
        return f"dspex.{self.kind}.{self.moment}"


Listener = Callable[[Event], None]


@runtime_checkable
class LanguageModel(Protocol):
    """The language model that programs and adapters use; `BaseLM` provides it."""

    @property
    def model(self) -> str:
        """The model's name."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The sampling defaults of every call."""

    @property
    def preferred_adapter(self) -> Literal["chat", "json"]:
        """The adapter that predictors use where none is configured."""

    @property
    def supports_function_calling(self) -> bool:
        """Whether requests may hold functions that the model can ask to have called."""

    def request(self, request: LMRequest) -> LMResponse:
        """Answer a request as a program makes it."""

    def steps(self, request: LMRequest) -> Generator[Any, Any, LMResponse]:
        """Answer a request as a part of another flow."""


class Recorder(Protocol):
    """Stands before every call of an LM or an embedding model while it is `settings.recorder`, as a cassette does.

    Its methods are called from many threads at once. The vector of a text is a response, too: its one output is the
    base64 of 32-bit floats.
    """

    def replay(self, model: str, request: LMRequest) -> LMResponse | None:
        """Return the recorded response, or `None` to let the LM answer.

        A recorder that may not let the LM answer raises, and names the request that it lacks.
        """

    def record(self, model: str, request: LMRequest, response: LMResponse) -> None:
        """Keep the response that the LM has just given."""


@runtime_checkable
class FailureRecorder(Recorder, Protocol):
    """A recorder that also learns of the calls that failed."""

    def fail(self, model: str, request: LMRequest, error: LMError) -> None:
        """Take the error with which the call has just failed; the program gets it in any case."""


@runtime_checkable
class LayeredRecorder(Recorder, Protocol):
    """A recorder that stands before another one, as the journal of a compile does; it also keeps answers of scripts."""

    outer: Recorder | None

    def of_scripts(self) -> Recorder:
        """Return the recorder of LMs that cassettes do not record."""


class WorkerRecorder(Protocol):
    """Stands for a recorder in other processes, where it is sent; it can be pickled."""

    def begin(self) -> NotingRecorder:
        """Return the recorder of one piece of work, from any thread."""


class NotingRecorder(Recorder, Protocol):
    """The recorder of one piece of work in another process."""

    def notes(self) -> Any:
        """Return what the recorder that it stands for has to learn of the calls; a value that can be pickled."""


@runtime_checkable
class PortableRecorder(Recorder, Protocol):
    """A recorder that also stands before calls in the workers of an executor."""

    def for_worker(self) -> WorkerRecorder | None:
        """Return what stands for it in other processes; `None` where calls there need no recorder."""

    def take_in(self, notes: Any) -> None:
        """Learn of the calls of one piece of work, from the notes that its recorder made."""


class ResponseStore(Protocol):
    """Where the answers of LMs are kept; `ResponseCache` provides it."""

    def get(self, key: str) -> LMResponse | None:
        """Return the response kept under a key, or `None`."""

    def put(self, key: str, response: LMResponse) -> None:
        """Keep a response under a key."""

    def fetch(self, key: str, ask: Callable[[], Generator[Any, Any, LMResponse]]) -> Generator[Any, Any, LMResponse]:
        """Return the response kept under a key, else ask for it, once for all who ask at the same time."""


class ReplyReader(Protocol):
    """Takes one reply piece by piece."""

    def __call__(self, chunk: LMChunk) -> None:
        """Take the next piece."""

    def close(self) -> None:
        """Take the end of the reply."""


class ReplyRouter(Protocol):
    """Gives the reply of each predictor the reader that wants it; `streamify` makes one."""

    def replies(self, predictor: Any) -> Callable[[Any, Any, Any], ReplyReader | None] | None:
        """Return what gives the replies to one question to a predictor their readers; `None` where nobody wants them.

        It takes the adapter, the signature, and the outputs that are not in the text of the reply.
        """

    async def send(self, item: Any) -> None:
        """Emit an item of the program's own: `await settings.send_stream.send(item)`."""


Trace = list[tuple[Any, dict[str, Any], "Prediction"]]  # of each entry, the first is the predictor
