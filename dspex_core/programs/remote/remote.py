"""The caller's side: send pieces of work to an executor, and take in what came of them. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dspex_core.config import current
from dspex_core.config import settings as every_setting
from dspex_core.config.contracts import PortableRecorder
from dspex_core.errors import BudgetExceededError, ConfigurationError
from dspex_core.flow.pieces import PIECE
from dspex_core.lm.base import BaseLM
from dspex_core.lm.history import CallLog, note, noting_in
from dspex_core.programs.remote.leases import Lease, Leases, Turn
from dspex_core.programs.remote.own_code import SourceFile, own_modules, sources_of
from dspex_core.programs.remote.packing import Parcel, named, pack, unpack
from dspex_core.programs.remote.post import Post, Sent
from dspex_core.programs.remote.worker import Answer, Common, Job, Piece

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor
    from types import ModuleType

    from dspex_core.config import Settings
    from dspex_core.flow.steps import Flow

# Settings of this process: what watches, counts or limits. All others travel, so that a worker works as it would.
_STAYING = frozenset(("listeners", "callbacks", "recorder", "trace", "usage", "budget", "stream", "executor"))


class Remote:
    """Work that an executor's processes do under the settings of this call.

    Args:
        executor: Any `concurrent.futures.Executor`, such as a `ProcessPoolExecutor` or that of a Dask client.
        work: Begins a piece, from its arguments; it and what it holds travel by cloudpickle.
        parts: The programs in the work, by any names.
        error_of: Returns the error of a value that stands for a failure, if the work returns such values.

    Predictions, usage, histories, traces and recordings come back. Callbacks and other listeners do not hear of calls
    in workers.

    Raises:
        ConfigurationError: The executor is not one, or a part of the work cannot leave the process.
    """

    def __init__(
        self,
        executor: Executor,
        work: Callable[..., Flow[Any]],
        *,
        parts: Mapping[str, Any],
        error_of: Callable[[Any], Exception | None] = lambda _: None,
    ) -> None:
        if isinstance(executor, type) or not callable(getattr(executor, "submit", None)):
            message = (
                f"an executor must have a method `submit`, as instances of concurrent.futures' have, not {executor!r}"
            )
            raise ConfigurationError(message)
        self._error_of = error_of
        settings = current()
        self._leases = Leases(settings.budget) if settings.budget is not None else None
        travelling = {name: value for name, value in every_setting.copy().items() if name not in _STAYING}
        self._shared = named({**parts, "lm": settings.lm, "judge_lm": settings.judge_lm})
        modules = own_modules()
        job, imports = _packed(Job(work, self._shared, travelling, traced=settings.trace is not None), modules)
        self._sent_along = () if imports else modules
        self._post = Post(executor, job=job, recorder=_common(pack(_recorder_of(settings))), imports=imports)
        self._lms = [each for each in self._shared.values() if isinstance(each, BaseLM)]

    def chunks(self, total: int | None, width: int) -> Callable[[int], int] | None:
        """Return how many pieces may begin in step, by how many have begun; `None` if each is to go alone.

        With a budget each goes alone: it has a part of what is left.

        Args:
            total: How many pieces there are, if that is known.
            width: How many messages are under way at the same time.
        """
        if self._leases is not None:
            return None
        return lambda begun: self._post.at_once(None if total is None else total - begun, width)

    def piece(self, *arguments: Any, **options: Any) -> Flow[Any]:
        """Do one piece of the work in a worker.

        Raises:
            WorkerError: The worker cannot load the program, or what came of it cannot leave the worker.
            BudgetExceededError: The budget has no room.
            Exception: What the work raises, or the executor, when it has lost its workers.
        """
        lease = None if self._leases is None else (yield Turn(self._leases, whole=False))
        answer = yield from self._answer(arguments, options, lease)
        refused = self._refusal(answer)
        if refused is not None and lease is not None and not lease.is_all:
            assert self._leases is not None, "it gave the part"
            lease = yield Turn(self._leases, whole=True)  # its part was too small, so it begins again, alone
            answer = yield from self._answer(arguments, options, lease)
            refused = self._refusal(answer)
        if refused is not None and self._leases is not None:
            self._leases.refuse(refused)
        if answer.error is not None:
            raise answer.error
        return answer.value

    def _refusal(self, answer: Answer) -> BudgetExceededError | None:
        error = answer.error or (None if answer.value is None else self._error_of(answer.value))
        return error if isinstance(error, BudgetExceededError) else None

    def _answer(self, arguments: tuple[Any, ...], options: Mapping[str, Any], lease: Lease | None) -> Flow[Answer]:
        shared = {**self._shared, **{f"argument {index}": value for index, value in enumerate(arguments)}}
        spent: Mapping[Any, float] = {}
        given = pack((arguments, options), self._shared, by_value=self._sent_along)
        try:
            parcel = yield Sent(self._post, Piece(given, PIECE.get(), None if lease is None else lease.limits))
            answer: Answer = unpack(parcel, shared)
            spent = answer.spent
        finally:
            if lease is not None and self._leases is not None:
                self._leases.give_back(lease, spent)
        self._take_in(answer, shared)
        return answer

    def _take_in(self, answer: Answer, shared: Mapping[str, Any]) -> None:
        """Let the settings of this call learn of a piece's calls, as if they had been made here."""
        settings = current()
        if answer.recorded is not None and isinstance(settings.recorder, PortableRecorder):  # a slow check
            settings.recorder.take_in(answer.recorded)
        if settings.usage is not None:
            for model, entry in answer.usage:
                if isinstance(entry, Mapping):
                    settings.usage.add_usage(model, entry)
                else:
                    settings.usage.add(model, entry)
        if settings.trace is not None:
            settings.trace.extend(answer.trace)
        for call in answer.calls:
            lm = next((each for each in self._lms if each.model == call.entry.model), None)
            logs = [shared[name] for name in call.histories]
            _note(call.entry, CallLog() if lm is None else lm.history, logs, settings.max_history_size)


def _packed(job: Job, modules: Sequence[ModuleType]) -> tuple[Common, Mapping[str, SourceFile]]:
    """Return the job, and the files of the modules that a worker has to import."""
    try:
        return _common(pack(job, by_value=modules)), {}
    except ConfigurationError:  # such as a module that holds a client; by reference the rest may travel
        sources = sources_of(modules)
        return _common(pack(job), repr(sorted(sources.items(), key=lambda each: each[0]))), sources


def _common(parcel: Parcel, imported: str = "") -> Common:
    return Common(hashlib.sha256(parcel.data + imported.encode()).hexdigest(), parcel)


def _note(entry: Any, own: CallLog, logs: list[CallLog], most: int) -> None:
    if not logs:
        note(entry, own, most)
        return
    with noting_in(logs[0]):
        _note(entry, own, logs[1:], most)


def _recorder_of(settings: Settings) -> Any:
    recorder = settings.recorder
    if recorder is None:
        return None
    if not isinstance(recorder, PortableRecorder):
        message = f"the recorder {recorder!r} cannot stand before calls in other processes: it has no `for_worker`"
        raise ConfigurationError(message)
    return recorder.for_worker()
