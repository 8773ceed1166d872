"""The history of LM calls, and its printout. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, SupportsIndex, TextIO, overload
from uuid import NAMESPACE_OID, uuid5

from dspex_core.errors.printable import printable
from dspex_core.lm import openai_form
from dspex_core.plain.secrets import is_private, without_secrets
from dspex_core.spending.prices import list_price

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dspex_core.messages import FunctionCall, LMOutput, LMRequest, LMResponse

_LENGTH = 10_000


@dataclass(frozen=True, slots=True)
class HistoryEntry(Mapping[str, Any]):
    """An answered call of an LM; `time` is in seconds since the epoch.

    It also reads as DSPy's entries do, `entry["messages"]`, `entry["outputs"]`, ...: values are made on access.
    `entry["kwargs"]` holds no keys and headers.
    """

    model: str
    request: LMRequest
    response: LMResponse
    time: float
    model_type: str = "chat"

    @property
    def cost(self) -> float | None:
        """Dollars, as the provider reported or else by list price; `None` where neither is known."""
        response = self.response
        if response.cached:
            return 0.0
        return list_price(response.lm or self.model, response.usage) if response.cost is None else response.cost

    def __getitem__(self, name: str) -> Any:
        return _VIEWS[name](self)

    def __iter__(self) -> Iterator[str]:
        return iter(_VIEWS)

    def __len__(self) -> int:
        return len(_VIEWS)


def _usage(entry: HistoryEntry) -> dict[str, int]:
    usage = entry.response.usage
    return {} if entry.response.cached else {**usage.to_json(), "total_tokens": usage.total_tokens}


def _timestamp(entry: HistoryEntry) -> str:
    return datetime.fromtimestamp(entry.time, UTC).astimezone().replace(tzinfo=None).isoformat()


_VIEWS: Mapping[str, Callable[[HistoryEntry], Any]] = {  # by DSPy's keys
    "prompt": lambda entry: openai_form.call_arguments(entry.request)["prompt"],
    "messages": lambda entry: openai_form.call_arguments(entry.request)["messages"],
    "kwargs": lambda entry: without_secrets(entry.request.config, is_private),
    "response": lambda entry: openai_form.as_reply(entry.response),
    "outputs": lambda entry: openai_form.said(entry.response),
    "usage": _usage,
    "cost": lambda entry: entry.cost,
    "timestamp": _timestamp,
    "uuid": lambda entry: str(uuid5(NAMESPACE_OID, f"{entry.time} {entry.request.key(entry.model)}")),
    "model": lambda entry: entry.model,
    "model_type": lambda entry: entry.model_type,
    "response_model": lambda entry: entry.response.model,
}


class CallLog(deque[HistoryEntry]):
    """The latest calls, oldest first. A deep copy of its owner begins an empty one."""

    def __init__(self, entries: Iterable[HistoryEntry] = (), maxlen: int | None = _LENGTH) -> None:
        super().__init__(entries, maxlen)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self)(maxlen=self.maxlen)

    def __iter__(self) -> Iterator[HistoryEntry]:
        """Go through the calls of now: other threads may make more meanwhile."""
        while True:
            try:
                return iter(list(super().__iter__()))
            except RuntimeError:  # one was made even while the list was, as a garbage collection lets other threads run
                continue

    @overload
    def __getitem__(self, index: SupportsIndex) -> HistoryEntry: ...

    @overload
    def __getitem__(self, index: slice) -> list[HistoryEntry]: ...

    def __getitem__(self, index: SupportsIndex | slice) -> HistoryEntry | list[HistoryEntry]:
        return list(self)[index] if isinstance(index, slice) else super().__getitem__(index)

    def __eq__(self, other: object) -> bool:
        """Whether it holds the same calls as another log, or as a list."""
        return list(self) == list(other) if isinstance(other, deque | list) else NotImplemented

    __hash__ = None

    def inspect(self, n: int = 1, file: TextIO | None = None) -> None:
        """Write the last `n` calls as text to a file, by default to `sys.stdout`."""
        entries = list(self)[-n:] if n > 0 else []
        out = sys.stdout if file is None else file
        if out is not None:  # as in a process without a console
            text = printable("".join(map(_readable, entries)))
            encoding = getattr(out, "encoding", None) or "utf-8"  # of a stream; what is like one may lack it
            out.write(text.encode(encoding, "backslashreplace").decode(encoding))


_recent = CallLog()
_programs: ContextVar[tuple[CallLog, ...]] = ContextVar("dspex_histories", default=())


class noting_in:  # noqa: N801  used like a function; a generator-based one would cost four times as much
    """Also record the calls made in a block, of any LM, in `history`."""

    __slots__ = ("_history", "_token")

    def __init__(self, history: CallLog) -> None:
        self._history = history

    def __enter__(self) -> None:
        self._token = _programs.set((*_programs.get(), self._history))

    def __exit__(self, *_: object) -> None:
        _programs.reset(self._token)


def histories() -> tuple[CallLog, ...]:
    """Return the histories of the programs that are running here, the outermost first."""
    return _programs.get()


def note(entry: HistoryEntry, own: CallLog, most: int) -> None:
    """Keep a call in the history of its LM, in those of its programs (`most` each), and in the process's."""
    programs = _programs.get()
    own.append(entry)
    _recent.append(entry)
    for history in programs:
        history.append(entry)
    if most < _LENGTH or own.maxlen != _LENGTH:  # else they keep to it themselves
        for history in (own, *programs):
            with suppress(IndexError):  # another thread has removed the last one
                while len(history) > most:
                    history.popleft()


def inspect_history(n: int = 1, file: TextIO | None = None) -> None:
    """Write the last `n` calls of the process, of all LMs, to a file, by default to `sys.stdout`."""
    _recent.inspect(n, file)


def pretty_print_history(history: Sequence[HistoryEntry], n: int = 1, file: TextIO | None = None) -> None:
    """Write the last `n` calls of a history, such as `lm.history`, to a file, by default to `sys.stdout`."""
    CallLog(history).inspect(n, file)


def _readable(entry: HistoryEntry) -> str:
    time = datetime.fromtimestamp(entry.time, UTC).astimezone().isoformat(timespec="seconds")
    origin = ", from the cache" if entry.response.cached else ""
    turns = [
        f"{message.role.capitalize()} message:\n\n{_with_calls(message.text, message.tool_calls)}"
        for message in entry.request.messages
    ]
    outputs = entry.response.outputs
    replies = [
        f"{'Response' if len(outputs) == 1 else f'Response {number} of {len(outputs)}'}:\n\n{_said(output)}"
        for number, output in enumerate(outputs, 1)
    ]
    heading = f"[{time}] {entry.response.lm or entry.model}{origin}"
    return "\n\n\n".join([heading, *turns, *replies]) + "\n\n\n\n"


def _said(output: LMOutput) -> str:
    text = f"(reasoning) {output.reasoning}\n\n{output.text}" if output.reasoning else output.text
    if output.is_cut_off:
        text = f"{text}\n\n(cut off: {output.finish_reason})"
    return _with_calls(text, output.tool_calls)


def _with_calls(text: str, calls: Iterable[FunctionCall]) -> str:
    lines = [f"(call) {call.name} {call.arguments}" for call in calls]
    return "\n".join([text, *lines] if text else lines)
