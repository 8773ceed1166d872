"""The recorder of LM calls outside a test's context: of threads, at import, after tests. PYTEST_DONT_REWRITE

A test's context holds its recorder, and asyncio and the library's own threads inherit the context. Plain threads do
not inherit it, and Python has no hook for that. So the session notes which test starts a thread or submits work to a
pool. Nothing else of the context is passed on: code under test must see the same context variables as in production.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import pytest

from dspex_core import DSPexError, settings
from dspex_core.plugin_api import REFUSALS_VARIABLE, REPLAY_VARIABLE, WORK, FailureRecorder, current
from pytest_dspex.cassettes.elsewhere import MissElsewhereError
from pytest_dspex.cassettes.http_recorder import HTTPRecorder
from pytest_dspex.cassettes.lanes import Lanes
from pytest_dspex.cassettes.patching import install
from pytest_dspex.cassettes.session_recorder import SessionRecorder
from pytest_dspex.cassettes.stash import LANES, LIVE
from pytest_dspex.running.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dspex_core import LMError, LMRequest, LMResponse, ResponseCache
    from dspex_core.plugin_api import Recorder, WorkerRecorder
    from pytest_dspex.cassettes.exchange import HTTPReply, HTTPRequest
    from pytest_dspex.cassettes.lanes import Lane

T = TypeVar("T")
_owner: ContextVar[Recorder | None] = ContextVar("dspex_owner", default=None)
_in_session: ContextVar[bool] = ContextVar("dspex_in_session", default=False)
ROUTER: pytest.StashKey[Router] = pytest.StashKey()  # of the session's config; absent in a live session
SESSION_CACHE: pytest.StashKey[ResponseCache] = pytest.StashKey()  # of a session that calls models
_UNDO = pytest.StashKey[list["Callable[[], object]"]]()


def begin(config: pytest.Config, *, live: bool, replay_only: bool) -> None:
    """Route all LM calls of this process, and have its child processes refuse theirs; in a live session do neither."""
    if _UNDO in config.stash:
        return
    undo = config.stash[_UNDO] = []
    is_inner = _in_session.get()  # pytester runs sessions within a test
    _in_session.set(True)
    router = None if live else Router()
    replay_only = replay_only and not live
    restore: list[Callable[[], object]] = [
        _install(config, router, replay_only=replay_only),
        _set_variable(REPLAY_VARIABLE, "" if live else "1"),
        _set_variable(REFUSALS_VARIABLE, "" if router is None else router.refusals.folder),
    ]
    if router is not None:
        config.stash[ROUTER] = router
        config.stash[LANES] = router.lanes
        undo.append(router.follow_threads())
        restore.append(install(config.getini("dspex_lm_hosts")))
    if is_inner or live:  # otherwise calls of threads that still run, and calls at exit, stay refused
        undo.extend(restore)


def _install(config: pytest.Config, router: Router | None, *, replay_only: bool) -> Callable[[], None]:
    """Set the process's recorder; a session that calls models has a cache of its own."""
    if replay_only:
        return settings.install_recorder(router, replay_only=True)
    from dspex_core import ResponseCache  # only sessions that call models need it
    from pytest_dspex.cassettes.live_recorder import LiveRecorder

    # Which case is the first to ask, and which has its reply from the cache, is chance: both cost the same.
    cache = config.stash[SESSION_CACHE] = ResponseCache(keeps_cost=True)
    recorder = router if router is not None else config.stash.setdefault(LIVE, LiveRecorder())
    records = router is not None
    return settings.install_recorder(recorder, replay_only=False, recorded_only=records, resample=True, cache=cache)


def end(config: pytest.Config) -> None:
    """Undo the changes to the process."""
    undos: list[Callable[[], object]] = config.stash.get(_UNDO, [])
    for undo in reversed(undos):
        undo()


def _set_variable(name: str, value: str) -> Callable[[], None]:
    before = os.environ.get(name)

    def put(value: str | None) -> None:
        if value:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)

    put(value)
    return lambda: put(before)


class CallOutsideTestsError(DSPexError):
    """An LM call was made outside any test, so that it does not belong to a cassette; `model` is the LM's name."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(
            f"{model!r} was called outside any test, so the call does not belong to a cassette. Make it in a test or a "
            "fixture (not while a module is imported, nor after the last test), or run with `pytest --dspex-live`."
        )


class Router(SessionRecorder):
    """The recorder of the process while a session does not run live.

    A call belongs to the test that started its thread, or else to the running test; between tests it is refused.
    Threads that a fixture of a wider scope starts serve many tests: their calls belong to the fixture while it is set
    up or torn down, else to the running test.

    `refused` are the models that were called outside any test, and `late` the tests whose threads made calls after
    the test's end. `problems` and `notes` report them, and the misses in threads.
    """

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.refusals = Refusals()
        self.late: set[str] = set()
        self._unseen: dict[Recorder, BaseException] = {}
        self._running: Recorder | None = None
        self._served: Recorder | None = None  # of the shared fixture that is set up or torn down
        self._session_thread = threading.current_thread()
        self._ended: WeakKeyDictionary[Recorder, str] = WeakKeyDictionary()
        self._threads: WeakKeyDictionary[threading.Thread, Recorder] = WeakKeyDictionary()
        self.lanes = Lanes()
        self._asked: dict[int, tuple[object, Recorder]] = {}  # pending live calls, by the id of the request object

    def replay(self, model: str, request: LMRequest) -> LMResponse | None:
        """Return the response from the cassette of the call's test, or `None` if the call has to go to the LM.

        Raises:
            CallOutsideTestsError: The call does not belong to a test.
            MissElsewhereError: The request is not recorded, and the call was made in a thread.
        """
        return self._routed(model, request, lambda recorder: recorder.replay(model, request))

    def record(self, model: str, request: LMRequest, response: LMResponse) -> None:
        """Record a response in the cassette that was looked up for its request."""
        self._asked_of(model, request).record(model, request, response)

    def fail(self, model: str, request: LMRequest, error: LMError) -> None:
        """Pass a failure to the recorder that was asked for the request."""
        recorder = self._asked_of(model, request)
        if isinstance(recorder, FailureRecorder):
            recorder.fail(model, request, error)

    def replay_http(self, request: HTTPRequest) -> HTTPReply | None:
        """Do the same as `replay` for an HTTP request to an LM."""

        def ask(recorder: Recorder) -> HTTPReply | None:
            return recorder.replay_http(request) if isinstance(recorder, HTTPRecorder) else None

        return self._routed(request.model, request, ask)

    def record_http(self, request: HTTPRequest, reply: HTTPReply) -> None:
        """Record a reply in the cassette that was looked up for its request."""
        recorder = self._asked_of(request.model, request)
        if isinstance(recorder, HTTPRecorder):
            recorder.record_http(request, reply)

    def for_worker(self) -> WorkerRecorder:
        """Return what stands for the recorder of this call's test in the workers of an executor.

        Raises:
            CallOutsideTestsError: The call does not belong to a test.
        """
        recorder = self._recorder()
        if not isinstance(recorder, SessionRecorder):
            raise CallOutsideTestsError("an executor")
        return recorder.for_worker()

    def _routed(self, name: str, request: object, ask: Callable[[Recorder], T | None]) -> T | None:
        recorder = self._recorder()
        if recorder is None:
            self.refused.add(name)
            raise CallOutsideTestsError(name)
        if recorder in self._ended:
            self.late.add(self._ended[recorder])
        try:
            found = ask(recorder)
        except pytest.fail.Exception as miss:
            if threading.current_thread() is self._session_thread:
                raise
            # in another thread, its outcome may get lost, and pools wait for ever
            self._unseen.setdefault(recorder, miss)
            raise MissElsewhereError(str(miss)) from None
        if found is None:  # the test may end before the answer arrives
            self._asked[id(request)] = (request, recorder)
        return found

    def _asked_of(self, name: str, request: object) -> Recorder:
        _, recorder = self._asked.pop(id(request), (request, self._recorder()))
        if recorder is None:
            raise CallOutsideTestsError(name)
        return recorder

    @contextmanager
    def running(self, recorder: Recorder, nodeid: str) -> Iterator[None]:
        """Route calls that do not belong to another test to this test's recorder."""
        outer, self._running = self._running, recorder
        self._ended.pop(recorder, None)  # the test runs again
        try:
            yield
        finally:
            self._running = outer
            self._ended[recorder] = nodeid

    def problems(self) -> list[str]:
        """Return the refused calls and misses for which no test has failed."""
        asked = [str(CallOutsideTestsError(model)) for model in sorted(self.refused)]
        asked += [f"no test was running: {text}" for text in self.refusals.take_last()]
        return [*asked, *dict.fromkeys(f"in a thread, unseen by its test: {miss}" for miss in self._unseen.values())]

    def notes(self) -> list[str]:
        """Return the tests whose threads made calls after the test's end."""
        after = "a thread of this test made LM calls after the test's end; they are in its cassette; join the thread"
        return [f"{nodeid}: {after}" for nodeid in sorted(self.late)]

    def take_unseen(self, recorder: Recorder) -> BaseException | None:
        """Return the first miss in one of a test's threads, or in a process that it has started, once."""
        in_process = self.refusals.take_first()  # taken in any case: one reason is enough
        return self._unseen.pop(recorder, None) or in_process

    @contextmanager
    def serving(self, recorder: Recorder) -> Iterator[None]:
        """Route the calls of a shared fixture, inside the `with` block, to the fixture's recorder.

        Threads and tasks that start in it are routed to whichever test or fixture is running when they call.
        """
        outer, self._running = self._running, recorder
        outer_served, self._served = self._served, recorder
        undo = settings.install_recorder(self, replay_only=current().replay_only)
        try:
            yield
        finally:
            undo()
            self._running, self._served = outer, outer_served

    def follow_threads(self) -> Callable[[], None]:
        """Note from now on which test starts a thread or submits work to a pool; the returned function undoes it."""
        start, submit = threading.Thread.start, ThreadPoolExecutor.submit

        def noted_start(thread: threading.Thread) -> None:
            owner = self._starter()
            if owner is not self:
                self._threads[thread] = owner
            is_ours = thread.name == WORK  # it works on pieces, which have lanes
            self.lanes.assign(thread, self.lanes.of_thread() if is_ours else self._next_lane(owner, _work_of(thread)))
            start(thread)

        def noted_submit(pool: ThreadPoolExecutor, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            owner = self._starter()
            lane = self._next_lane(owner, _name_of(function))
            return submit(pool, _owned(function, owner, self.lanes, lane), *args, **kwargs)

        def undo() -> None:
            threading.Thread.start = start  # type: ignore[method-assign]
            ThreadPoolExecutor.submit = submit  # type: ignore[method-assign]

        threading.Thread.start = noted_start  # type: ignore[method-assign, assignment]
        ThreadPoolExecutor.submit = noted_submit  # type: ignore[method-assign, assignment]
        return undo

    def _next_lane(self, owner: Recorder, work: str) -> Lane:
        """Return the lane of work that starts here; outside tests and fixtures it has none."""
        counted = owner if owner is not self else self._served
        return () if counted is None else self.lanes.next_of(counted, work)

    def _starter(self) -> Recorder:
        """Return the owner of a thread or task that starts here; the router itself stands for the running test."""
        recorder = current().recorder
        return recorder if recorder is not None and recorder is not self else self._owner()

    def _owner(self) -> Recorder:
        return _owner.get() or self._threads.get(threading.current_thread(), self)

    def _recorder(self) -> Recorder | None:
        owner = self._owner()
        return self._running if owner is self else owner


def _owned(function: Callable[..., Any], owner: Recorder, lanes: Lanes, lane: Lane) -> Callable[..., Any]:
    """Return a function that runs the given one in a pool's thread with this owner and in this lane."""

    def run(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        token = _owner.set(owner)
        try:
            with lanes.at(lane):
                return function(*args, **kwargs)
        finally:
            _owner.reset(token)

    return run


def _work_of(thread: threading.Thread) -> str:
    """Return a name of the work of a thread, so that threads that a library starts count apart."""
    target = vars(thread).get("_target")
    return type(thread).__qualname__ if target is None else _name_of(target)


def _name_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__))
