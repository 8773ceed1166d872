"""The recorder of LM calls and HTTP requests: records them in a cassette, replays them from it. PYTEST_DONT_REWRITE

A replayed call costs a hash and a dict lookup; no engine is imported for it.
"""

from __future__ import annotations

import os
import textwrap
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Literal

import pytest

from dspex_core import LMResponse
from pytest_dspex.cassettes.difference import difference
from pytest_dspex.cassettes.elsewhere import MissElsewhereError
from pytest_dspex.cassettes.entry import CassetteError, Entry
from pytest_dspex.cassettes.lanes import Lanes
from pytest_dspex.cassettes.masking import Mask
from pytest_dspex.cassettes.refusals import refusal_from_json, refusal_to_json
from pytest_dspex.cassettes.repeats import Repeats, has_replies_of_its_own, number_of
from pytest_dspex.cassettes.session_recorder import SessionRecorder
from pytest_dspex.cassettes.store import last_message
from pytest_dspex.reports.shown import shown

if TYPE_CHECKING:
    from pathlib import Path

    from dspex_core import LMError, LMRequest
    from dspex_core.plugin_api import Json, UsageTracker, WorkerRecorder
    from pytest_dspex.cassettes.exchange import HTTPReply, HTTPRequest
    from pytest_dspex.cassettes.repeats import Taken
    from pytest_dspex.cassettes.store import CassetteStore

RecordMode = Literal["none", "new", "all"]

_SHOWN = 600  # characters of the last message
_ADVICE = "Record it with `pytest --dspex-record=new`, or call the LM without a cassette with `pytest --dspex-live`."


class CassetteMiss(pytest.fail.Exception):  # type: ignore[name-defined,misc]  # its one public name is no type name
    """A test made an LM call that is not in its cassette.

    It is not an `Exception`, so programs and libraries do not handle it as a failed call. It is one of
    pytest's outcomes, so pytest shows its message without a traceback and handles it in fixtures, too.

    Args:
        path: The cassette; it is named after the test function.
        case: The id of the test case; empty for a test without parameters.
        model: The model of the call.
        request: The request's stored form.
        nearest: The recorded entry whose request is most like it, if there is one.
        recorded: How many replies to equal requests of the case are recorded.

    `cause` says why it is not recorded, in words that are the same for all cases with one cause.
    """

    __module__ = "pytest_dspex"  # its public module, which pytest shows

    def __init__(
        self, *, path: Path, case: str, model: str, request: Json, nearest: Entry | None, recorded: int = 0
    ) -> None:
        self.path = path
        self.case = case
        self.model = model
        self.request = request
        self.nearest = nearest
        self.recorded = recorded
        self.cause, explanation = self._explained()
        last = last_message(request)
        test = f"{path.stem}[{case}]" if case else path.stem
        lines = [
            f"{test} calls {model!r} with a request that is not in its cassette {path}.",
            "The request's last message:",
            _indented(last if len(last) <= _SHOWN else f"{last[:_SHOWN]} [...]"),
            explanation,
            _ADVICE,
        ]
        if not path.exists():  # a short message, as every test may have a miss then
            self.cause = f"No call is recorded yet: the cassette {path} is missing."
            lines = [f"{test} calls {model!r}, and no call is recorded yet: its cassette {path} is missing.", _ADVICE]
        super().__init__(shown("\n".join(lines)), pytrace=False)

    def _explained(self) -> tuple[str, str]:
        """Return the cause and, for this one request, the explanation."""
        if self.recorded:
            replies = "reply is" if self.recorded == 1 else "replies are"
            text = (
                f"Only {self.recorded} {replies} recorded for this request, and this is the equal request number "
                f"{self.recorded + 1} of the case. Each has a reply of its own, as its temperature is not 0."
            )
            return text, text
        if self.nearest is None:
            text = "No recorded request is like it."
            return text, text
        changes = difference(self.nearest, model=self.model, case=self.case, request=self.request)
        if not changes:
            text = (
                "A recorded request reads the same but has another key: its line was edited, or is of another version."
            )
            return text, text
        changed = "\n".join(line for line in changes.splitlines() if line.startswith(("+", "-", "...")))
        difference_of = "The nearest recorded request (-) differs from it (+):"
        return f"{difference_of}\n{_indented(changed)}", f"{difference_of}\n{_indented(changes)}"


class CassetteRecorder(SessionRecorder):
    """Replays and records the LM calls of one test case; it implements `dspex_core`'s `Recorder`.

    It does the same for HTTP requests to LMs, where the n-th equal request of a case has the n-th recorded reply.

    Args:
        store: The cassette.
        case: The test case's id, which is part of each key: equal requests of two cases are two entries.
        record: `"none"` only replays, and raises `CassetteMiss` for other calls; `"new"` sends the other
            calls to the LM and records them; `"all"` sends every call to the LM.
        process: The id of the process that runs the test, if the recorder may be made in a forked child of it.
        lanes: The lanes of the session's threads.
        tracker: Counts the calls that the LM or the session's cache answers.
        mask: Hides credentials in all that is recorded or looked up.
        taken: Which replies equal requests have had before, where this recorder goes on for another one.

    The n-th equal request of a model that samples has the n-th recorded reply. At temperature 0, and with equal
    `rollout_id`s, equal requests have one reply in a run, also with `"all"`.

    The store counts the calls. Threads may share a recorder.
    """

    def __init__(
        self,
        store: CassetteStore,
        *,
        case: str,
        record: RecordMode,
        process: int | None = None,
        lanes: Lanes | None = None,
        tracker: UsageTracker | None = None,
        mask: Mask | None = None,
        taken: Taken | None = None,
    ) -> None:
        self._store = store
        self._mask = mask or Mask()
        self._case = self._mask.text(case)
        self._mode = record
        self._process = process or os.getpid()
        self._first_miss: CassetteMiss | None = None  # since the last `take_miss`
        self._lock = threading.Lock()
        self._equal_requests: defaultdict[str, int] = defaultdict(int)  # by the key of the first
        self._repeats = Repeats(lanes or Lanes(), taken)
        self._tracker = tracker

    def replay(self, model: str, request: LMRequest) -> LMResponse | None:
        """Return the recorded response, or `None` if the call has to go to the LM.

        Raises:
            CassetteMiss: The request is not recorded, and this session only replays.
            MissElsewhereError: The same, in a forked child.
            CassetteError: The cassette is damaged.
            LMError: The recorded answer is a refusal.
        """
        sent = self._mask.request(request)
        key = sent.key(model, self._case)
        entry = self._next_reply(key) if has_replies_of_its_own(sent) else self._lookup(key)
        if entry is None and self._mask.add_environment():  # a test or a fixture has set a key since
            return self.replay(model, request)
        if entry is not None:
            self._store.count("replayed")
            return self._response(entry)
        labels = self._store.labels(key)
        if self._mode != "none":
            if has_replies_of_its_own(sent):
                self._lookup(self._repeats.reserve(key, request, labels if self._mode == "new" else ()))  # keeps it
            return None
        raise self._missed(model, sent.to_json(), recorded=len(labels))

    def _lookup(self, key: str) -> Entry | None:
        return self._store.lookup(key, fresh=self._mode == "all")

    def _next_reply(self, key: str) -> Entry | None:
        """Return the entry of the next equal request; older cassettes have one for all of them."""
        labels = self._store.labels(key, fresh=self._mode == "all")
        taken = self._repeats.take(key, labels, replays=self._mode == "none")
        if taken is None:
            return None if labels or self._mode == "all" else self._lookup(key)
        return self._lookup(taken)

    def replay_http(self, request: HTTPRequest) -> HTTPReply | None:
        """Return the recorded reply, or `None` if the request has to be sent.

        Raises:
            CassetteMiss: The request is not recorded, and this session only replays.
            MissElsewhereError: The same, in a forked child.
            CassetteError: The cassette is damaged.
        """
        sent = request.masked(self._mask)
        key = sent.key(self._case)
        labels = self._store.labels(key, fresh=self._mode == "all")
        taken = self._repeats.take(key, labels, replays=self._mode == "none")
        entry = self._numbered(sent) if taken is None else self._lookup(taken)
        if entry is not None:
            self._store.count("replayed")
            return self._reply(entry)
        if self._mask.add_environment():  # a test or a fixture has set a key since
            return self.replay_http(request)
        if self._mode != "none":
            self._lookup(self._repeats.reserve(key, request, labels))  # keeps it
            return None
        raise self._missed(sent.model, sent.to_json())

    def _numbered(self, request: HTTPRequest) -> Entry | None:
        """Return the entry of the next equal request in a cassette of an earlier version: its key holds the number."""
        same = request.key(self._case, 0)
        with self._lock:  # simultaneous equal requests get one reply each
            entry = self._lookup(request.key(self._case, self._equal_requests[same]))
            self._equal_requests[same] += entry is not None
        return entry

    def record_http(self, request: HTTPRequest, reply: HTTPReply) -> None:
        """Record the reply of a request, unless it is a failure that may pass."""
        if not reply.is_kept:
            self._repeats.release(request)
            return
        stored = self._mask.value(reply.without(request.secrets).to_json())
        sent = request.masked(self._mask)
        same = sent.key(self._case)
        key = self._repeats.reserved(request) or self._repeats.reserve(same, request, self._store.labels(same))
        if self._store.add(Entry(key, sent.model, self._case, sent.to_json(), stored, number_of(key))):
            self._store.count("recorded")

    def for_worker(self) -> WorkerRecorder:
        """Return what answers in the workers of an executor with the entries of this case."""
        from pytest_dspex.cassettes.in_workers import CassetteInWorkers  # only tests with an executor need it

        return CassetteInWorkers(
            make=CassetteRecorder,
            path=self._store.path,
            case=self._case,
            record=self._mode,
            entries=self._store.of_case(self._case, fresh=self._mode == "all"),
            taken=self.taken(),
            secrets=self._mask.known(),
            redact=self._mask.redact,
        )

    def taken(self) -> Taken:
        """Return which replies equal requests have had, for a recorder that goes on for this one."""
        return self._repeats.taken()

    def begin_again(self) -> None:
        """Count equal requests anew, as the test may be run again."""
        with self._lock:
            self._equal_requests.clear()
        self._repeats.begin_again()

    def _missed(self, model: str, asked: Json, *, recorded: int = 0) -> Exception | CassetteMiss:
        self._store.count("missed")
        nearest = self._store.nearest(asked, self._case)
        miss = CassetteMiss(
            path=self._store.path, case=self._case, model=model, request=asked, nearest=nearest, recorded=recorded
        )
        with self._lock:
            self._first_miss = self._first_miss or miss
        if os.getpid() == self._process:
            return miss
        from dspex_core.plugin_api import leave_note  # only a forked child that misses needs it

        leave_note(str(miss))  # its process cannot know whether anybody sees the error
        return MissElsewhereError(str(miss))

    def take_miss(self) -> CassetteMiss | None:
        """Return the first miss, once: whoever made the request may have swallowed it."""
        with self._lock:
            miss, self._first_miss = self._first_miss, None
        return miss

    def record(self, model: str, request: LMRequest, response: LMResponse) -> None:
        """Record a response, unless this run has already recorded one for the same request."""
        if self._tracker is not None:
            self._tracker.add(model, response)
        self._record(model, request, self._mask.response(request, response))

    def fail(self, model: str, request: LMRequest, error: LMError) -> None:
        """Record a refusal, which is an answer to the request; other failures are not recorded."""
        refusal = refusal_to_json(error)
        if refusal is not None:
            self._record(model, request, self._mask.value(refusal))
        else:
            self._repeats.release(request)

    def _record(self, model: str, request: LMRequest, answer: Json) -> None:
        sent = self._mask.request(request)
        key = sent.key(model, self._case)
        if has_replies_of_its_own(sent):
            key = self._repeats.reserved(request) or self._repeats.reserve(key, request, self._store.labels(key))
        if self._store.add(Entry(key, model, self._case, self._mask.value(sent.to_json()), answer, number_of(key))):
            self._store.count("recorded")

    def _response(self, entry: Entry) -> LMResponse:
        refusal = refusal_from_json(entry.response)
        if refusal is not None:
            raise refusal
        try:
            return LMResponse.from_json(entry.response, cached=True)
        except (KeyError, TypeError) as error:
            raise self._unreadable(entry, error) from error

    def _reply(self, entry: Entry) -> HTTPReply:
        from pytest_dspex.cassettes.exchange import HTTPReply  # only calls of other libraries need it

        try:
            return HTTPReply.from_json(entry.response)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._unreadable(entry, error) from error

    def _unreadable(self, entry: Entry, error: Exception) -> CassetteError:
        message = (
            f"the response of entry {entry.key!r} (case {entry.case!r}) cannot be read ({error!r}); "
            "delete its line and record it again with --dspex-record=new"
        )
        return CassetteError(message, path=self._store.path)


def _indented(text: str) -> str:
    return textwrap.indent(text, "    ", lambda _: True)
