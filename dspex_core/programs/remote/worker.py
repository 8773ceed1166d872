"""The worker's side: do a piece of work and send back all that came of it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import contextvars
import sys
import threading
import time
import traceback
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.config import context
from dspex_core.errors import ConfigurationError, WorkerError
from dspex_core.flow.pieces import PIECE
from dspex_core.flow.steps import drive
from dspex_core.lm.history import CallLog, histories, noting_in
from dspex_core.plain.display import error_text
from dspex_core.programs.remote.own_code import CallersModules, SourceFile
from dspex_core.programs.remote.packing import Parcel, pack, unpack
from dspex_core.spending.budget import Budget
from dspex_core.spending.usage import UsageTracker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dspex_core.config.contracts import Trace, WorkerRecorder
    from dspex_core.errors import BudgetKind
    from dspex_core.flow.steps import Flow
    from dspex_core.lm.history import HistoryEntry
    from dspex_core.messages import LMResponse

LONG_ENOUGH = 0.2  # seconds of work of a message: what one costs is then less than a twentieth of that
LATE = 2 * LONG_ENOUGH  # pieces that have not begun by then go back, as another worker may be free
_KEPT = 8  # by a worker: an optimizer's program changes with every candidate


@dataclass(frozen=True)
class Job:
    """What all pieces of one run have in common.

    Args:
        work: Begins a piece, from its arguments.
        shared: What of it both sides have, by name.
        settings: Those of the caller that can travel.
        traced: Whether the caller's settings have a trace.
    """

    work: Callable[..., Flow[Any]]
    shared: Mapping[str, Any]
    settings: Mapping[str, Any]
    traced: bool


@dataclass(frozen=True, slots=True)
class Common:
    """What many pieces need: its digest, and the packed value or `None` where the worker is likely to have it."""

    digest: str
    parcel: Parcel | None


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of work.

    Args:
        given: The packed arguments of the work, by position and by name.
        place: Which piece it is of those around it (`flow.pieces`).
        limits: What it may spend, by kind; `None` without a budget.
    """

    given: Parcel
    place: tuple[int, ...]
    limits: Mapping[BudgetKind, float] | None


@dataclass(frozen=True, slots=True)
class Order:
    """Pieces of work for one worker, which does one after the other.

    Args:
        job: The `Job`.
        recorder: What stands for the caller's recorder, or `None`.
        paths: Where the caller imports from; a worker on the same machine, or with the same folders, does so, too.
        imports: The files of the caller's own modules that the worker imports, by name.
        pieces: The pieces.
    """

    job: Common
    recorder: Common
    paths: tuple[str, ...]
    imports: Mapping[str, SourceFile]
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """The first pieces of an order: the packed `Answer` of each, and the seconds that the longest took."""

    parcels: Sequence[Parcel]
    longest: float


@dataclass(frozen=True, slots=True)
class Noted:
    """An answered LM call: its entry, and the names of the histories of the programs that made it."""

    entry: HistoryEntry
    histories: tuple[str, ...]


@dataclass(slots=True)
class Answer:
    """What came of a piece: its value or its error, and what the caller's settings have to learn of its calls."""

    value: Any = None
    error: BaseException | None = None
    usage: list[tuple[str, LMResponse | Mapping[str, Any]]] = field(default_factory=list)
    calls: list[Noted] = field(default_factory=list)
    trace: Trace = field(default_factory=list)
    spent: Mapping[BudgetKind, float] = field(default_factory=dict)
    recorded: Any = None


def fulfil(order: Order) -> Done | None:
    """Do pieces of work until they have taken `LATE`; return `None` where what they need is not known here."""
    sys.path.extend(path for path in order.paths if path not in sys.path)
    try:
        _imported.renew(order.imports)
        has_job, job = _jobs.take(order.job)
        has_recorder, recorder = _recorders.take(order.recorder)
    except Exception as error:  # noqa: BLE001  whatever a module of the user raises while it is imported
        return Done([_not_loaded(error)] * len(order.pieces), 0)
    if not (has_job and has_recorder):
        return None
    done, longest = list[Parcel](), 0.0
    began = before = time.perf_counter()
    for piece in order.pieces:
        done.append(_done(piece, job, recorder, imports=order.imports))
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
        if now - began > LATE:
            break
    return Done(done, longest)


def _done(piece: Piece, job: Job, recorder: WorkerRecorder | None, *, imports: Mapping[str, SourceFile]) -> Parcel:
    """Do one piece of work and return its packed `Answer`."""
    try:
        arguments, options = unpack(piece.given, job.shared)
        _imported.check(imports)
    except Exception as error:  # noqa: BLE001  as in `fulfil`
        return _not_loaded(error)
    shared = {**job.shared, **{f"argument {index}": value for index, value in enumerate(arguments)}}
    begun = partial(_answered, job, piece, recorder, partial(job.work, *arguments, **options), shared)
    return _packed(contextvars.copy_context().run(begun), shared)


def _not_loaded(error: Exception) -> Parcel:
    message = (
        f"a worker cannot load the program: {error_text(error)}. Install your project where the workers run, or "
        "give them its folder in PYTHONPATH"
    )
    return pack(Answer(error=WorkerError(message)))


def _answered(
    job: Job,
    piece: Piece,
    recorder_here: WorkerRecorder | None,
    work: Callable[[], Flow[Any]],
    shared: Mapping[str, Any],
) -> Answer:
    PIECE.set(piece.place)
    answer = Answer()
    budget = Budget(**piece.limits) if piece.limits else None  # type: ignore[arg-type]  # kinds are its parameters
    recorder = None if recorder_here is None else recorder_here.begin()
    log = _Calls(shared)
    given = {
        **job.settings,
        "usage": _Usage(answer.usage),
        "budget": budget,
        "recorder": recorder,
        "trace": answer.trace if job.traced else None,
    }
    with context(**given), noting_in(log):
        try:
            answer.value = drive(work())
        except BaseException as error:  # noqa: BLE001  the caller gets it
            error.add_note(f"in a worker:\n{''.join(traceback.format_exception(error))}")
            answer.error = error
    answer.calls = log.noted
    answer.spent = budget.spent if budget is not None else {}
    answer.recorded = None if recorder is None else recorder.notes()
    return answer


def _packed(answer: Answer, shared: Mapping[str, Any]) -> Parcel:
    """Pack an answer; a value or an error that cannot leave the process becomes an error that says so."""
    if answer.error is not None:
        answer.error = _portable(answer.error)
    try:
        return pack(answer, shared)
    except ConfigurationError as error:
        known = replace(answer, value=None, trace=[], error=WorkerError(f"the result of a worker is lost: {error}"))
        return pack(known, shared)


def _portable(error: BaseException) -> BaseException:
    """Return the error, or what is known of it where the caller could not read it."""
    try:
        unpack(pack(error))
    except Exception:  # noqa: BLE001  the error's class is the user's, and so is what it holds
        return WorkerError(error_text(error))
    return error


class _Usage(UsageTracker):
    """Counts nothing: the caller's trackers do, each call in turn."""

    def __init__(self, entries: list[tuple[str, LMResponse | Mapping[str, Any]]]) -> None:
        super().__init__()
        self._all = entries

    def add(self, model: str, response: LMResponse) -> None:
        """Keep an answered call."""
        self._all.append((model, response))

    def add_usage(self, lm: str, usage_entry: Mapping[str, Any]) -> None:
        """Keep a call that the program made by itself."""
        self._all.append((lm, usage_entry))


class _Calls(CallLog):
    """The calls of one piece, with the names of the programs that made each."""

    def __init__(self, shared: Mapping[str, Any]) -> None:
        super().__init__(maxlen=None)
        self._names = {id(each): name for name, each in shared.items() if isinstance(each, CallLog)}
        self.noted: list[Noted] = []

    def append(self, entry: HistoryEntry) -> None:
        """Keep a call."""
        names = (self._names.get(id(log)) for log in histories())
        self.noted.append(Noted(entry, tuple(name for name in names if name is not None)))


class _Kept:
    """What pieces of work that came lately have in common."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, common: Common) -> tuple[bool, Any]:
        """Return whether a value is here, and the value: kept from an earlier piece, or sent with this one."""
        with self._lock:
            if common.digest in self._values:
                self._values.move_to_end(common.digest)
            elif common.parcel is not None:
                self._values[common.digest] = unpack(common.parcel)
                if len(self._values) > _KEPT:
                    self._values.popitem(last=False)
            return common.digest in self._values, self._values.get(common.digest)


_imported = CallersModules()
_jobs, _recorders = (
    _Kept(),
    _Kept(),
)  # the LMs in them keep their connections
