"""The journal of a `compile`: what LMs have answered and what was tried, from which a killed run goes on.

    {"dspex": "compile journal", "version": 1, "fingerprint": {"optimizer": {...}, "trainset": {...}, ...}}
    {"call": "8d1c...", "response": {...}, "paid": true}
    {"trial": 1, "name": "no demos", "scores": {"0": 1.0, ...}, ...}

A run that goes on starts from the beginning, and gets the answers of then: an optimizer with a seed does the same with
the same answers. They count in its budget as they did then, so it ends where an undisturbed run ends.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import json
import logging
import threading
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.config import current
from dspex_core.config.contracts import FailureRecorder, PortableRecorder
from dspex_core.errors import ConfigurationError, LMError
from dspex_core.lm.refused import refusal_of
from dspex_core.messages import LMResponse
from dspex_core.optimizers.fingerprint import part_changes
from dspex_core.optimizers.trials import mean_of
from dspex_core.storage.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from dspex_core.config.contracts import NotingRecorder, Recorder, WorkerRecorder
    from dspex_core.messages import LMRequest
    from dspex_core.optimizers.trials import Trial

_KIND = {"dspex": "compile journal", "version": 1}
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_START = _encode(_KIND)[:-1].encode()
_log = logging.getLogger("dspex")

Answer = tuple[LMResponse, bool]  # with whether it was paid for


class Answers:
    """Answers to requests, of which the n-th of equal requests gets the n-th; threads may share it.

    Args:
        answers: The answers by the key of the request.
        outer: The recorder that stands before calls which are not among them.
        counts: Whether an answer of then counts in the budget once more.
    """

    def __init__(self, answers: Mapping[str, Any], outer: Recorder | None, *, counts: bool = True) -> None:
        self.outer = outer
        self._counts = counts
        self._lock = threading.Lock()
        self._answers = {key: deque(each) for key, each in answers.items()}

    def replay(self, model: str, request: LMRequest) -> LMResponse | None:
        """Return the answer of then, else the outer recorder's, or `None` to let the LM answer."""
        known = self.known(model, request)
        if known is None and self.outer is not None:
            return self.outer.replay(model, request)
        if known is None and current().replay_only:
            raise refusal_of(model)
        return known

    def known(self, model: str, request: LMRequest) -> LMResponse | None:
        """Return the answer of then, if there is one."""
        with self._lock:
            waiting = self._answers.get(request.key(model))
            known = waiting.popleft() if waiting else None
        return None if known is None else self.again(model, known)

    def again(self, model: str, known: Any) -> LMResponse:
        """Return an answer of then; if it was paid for, it counts once more."""
        response: LMResponse = known[0]
        was_paid: bool = known[1]
        budget = current().budget
        if was_paid and self._counts and budget is not None:
            budget.open_call()
            budget.close_call(model, response)
        return response

    def record(self, model: str, request: LMRequest, response: LMResponse) -> None:
        """Keep an answer."""
        self.keep(request.key(model), response)
        if self.outer is not None:
            self.outer.record(model, request, response)

    def keep(self, key: str, response: LMResponse) -> None:
        """Keep the answer to the request with that key; a subclass knows where."""
        raise NotImplementedError

    def fail(self, model: str, request: LMRequest, error: LMError) -> None:
        """Let the outer recorder know; here nothing is kept, so that the call is made again."""
        if isinstance(self.outer, FailureRecorder):
            self.outer.fail(model, request, error)

    def of_scripts(self) -> Recorder:
        """Return the recorder of LMs that cassettes do not record: this one, without the outer."""
        return _OfScripts(self)


@dataclass(frozen=True)
class _OfScripts:
    """Stands before LMs that cassettes do not record."""

    answers: Answers

    def replay(self, model: str, request: LMRequest) -> LMResponse | None:
        """Return the answer of then, or `None` to let the LM answer."""
        return self.answers.known(model, request)

    def record(self, model: str, request: LMRequest, response: LMResponse) -> None:
        """Keep an answer."""
        self.answers.keep(request.key(model), response)


class CompileJournal(Answers):
    """Keeps the answers and the trials of one `compile` in a file; while it runs, it is the recorder of its LM calls.

    Args:
        path: The file.
        fingerprint: What is compiled, and by what.
        outer: The recorder that is in force otherwise.
        counts: Whether answers of an earlier run count in the budget once more, so that this one ends where that one
            would have ended.

    Raises:
        ConfigurationError: The file is in use, or of another compile, or a line is damaged.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        fingerprint: Mapping[str, Any],
        outer: Recorder | None = None,
        counts: bool = True,
    ) -> None:
        self._file = Journal(path, start=_START)
        self.path = self._file.path
        self._trials: dict[int, dict[str, Any]] = {}
        self._unwritten: ConfigurationError | None = None
        try:
            answers = self._read(fingerprint)
            if answers is None:
                self._append({**_KIND, "fingerprint": dict(fingerprint)})
        except BaseException:
            self._file.close()
            raise
        super().__init__(answers or {}, outer, counts=counts)
        self.found = sum(map(len, (answers or {}).values()))

    def known(self, model: str, request: LMRequest) -> LMResponse | None:
        """Return the answer of then, if there is one.

        Raises:
            ConfigurationError: The journal could not be written before; another answer would be paid for and lost.
        """
        if self._unwritten is not None:
            raise self._unwritten
        return super().known(model, request)

    def again(self, model: str, known: Any) -> LMResponse:
        """Return the answer that stands at a place of the file."""
        data = json.loads(self._file.line_at(known))
        return super().again(model, (LMResponse.from_json(data["response"], cached=True), data["paid"]))

    def keep(self, key: str, response: LMResponse) -> None:
        """Append an answer at once, so that it outlives this process."""
        self._append({"call": key, "response": response.to_json(), "paid": not response.cached})

    def add(self, trial: Trial) -> None:
        """Append a trial, unless it is there from an earlier run; warn if it scored otherwise then."""
        data = trial.to_json()
        earlier = self._trials.get(trial.number)
        if earlier is None:
            self._append(data)
        elif (earlier["name"], earlier["scores"]) != (data["name"], data["scores"]):
            _log.warning(
                "trial %d (%s) scored %.3f in the run that this one continues, and %.3f now with the same answers: "
                "the metric, or the program, is not deterministic",
                *(trial.number, trial.name, mean_of(earlier["scores"]), trial.score),
            )

    def close(self) -> None:
        """Give the file free for others."""
        self._file.close()

    def for_worker(self) -> WorkerRecorder:
        """Return the answers that are left, for the workers of an executor."""
        outer = self.outer.for_worker() if isinstance(self.outer, PortableRecorder) else None
        if self.outer is not None and not isinstance(self.outer, PortableRecorder):
            raise ConfigurationError(f"the recorder {self.outer!r} cannot stand before calls in other processes")
        with self._lock:
            left = {key: tuple(map(self._answer_at, places)) for key, places in self._answers.items() if places}
        return _InWorkers(left, outer, self._counts)

    def take_in(self, notes: Any) -> None:
        """Append the answers that a worker got."""
        own, outer = notes
        for key, stored, was_paid in own:
            self._append({"call": key, "response": stored, "paid": was_paid})
        if isinstance(self.outer, PortableRecorder) and outer is not None:
            self.outer.take_in(outer)

    def _answer_at(self, place: int) -> Answer:
        data = json.loads(self._file.line_at(place))
        return LMResponse.from_json(data["response"], cached=True), data["paid"]

    def _append(self, data: Mapping[str, Any]) -> None:
        try:
            self._file.append(_encode(data).encode())
        except OSError as error:
            path = str(self.path)
            self._unwritten = ConfigurationError(f"the journal {path!r} cannot be written: {error.strerror}")
            raise self._unwritten from error

    def _read(self, now: Mapping[str, Any]) -> dict[str, list[int]] | None:
        """Return the places of the answers by their keys; `None` if the file has no whole line."""
        answers: dict[str, list[int]] | None = None
        for number, place, line in self._file.lines():
            data = self._parsed(number, line)
            if answers is None:
                answers = defaultdict(list)
                self._refuse_other(data["fingerprint"], now)
            elif "call" in data:
                answers[data["call"]].append(place)
            else:
                self._trials[data["trial"]] = data
        return answers

    def _parsed(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            data: dict[str, Any] = json.loads(line)
            if number == 1:
                is_whole = {name: data.get(name) for name in _KIND} == _KIND and isinstance(data["fingerprint"], dict)
            else:
                is_whole = isinstance(data.get("response"), dict) or isinstance(data.get("scores"), dict)
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
            is_whole = False
        if not is_whole:
            path = str(self.path)
            raise ConfigurationError(f"line {number} of {path!r} is not one of a compile journal: give another file")
        return data

    def _refuse_other(self, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        if then == json.loads(json.dumps(now)):
            return
        changes = part_changes(then, now) or ["the program has changed"]
        raise ConfigurationError(
            f"the journal {str(self.path)!r} is of another compile, so it cannot be continued: "
            f"{'; '.join(changes)}. Give another file, or remove it"
        )


@dataclass(frozen=True)
class _InWorkers:
    """The answers, and the outer recorder's stand-in, for the workers of an executor."""

    answers: Mapping[str, tuple[Answer, ...]]
    outer: WorkerRecorder | None
    counts: bool

    def begin(self) -> _Noting:
        """Return the recorder of one piece of work."""
        return _Noting(self.answers, None if self.outer is None else self.outer.begin(), counts=self.counts)


class _Noting(Answers):
    """The recorder of one piece of work, which notes what LMs answered."""

    outer: NotingRecorder | None

    def __init__(
        self, answers: Mapping[str, tuple[Answer, ...]], outer: NotingRecorder | None, *, counts: bool
    ) -> None:
        super().__init__(answers, outer, counts=counts)
        self._notes: list[tuple[str, dict[str, Any], bool]] = []

    def keep(self, key: str, response: LMResponse) -> None:
        """Note an answer."""
        self._notes.append((key, response.to_json(), not response.cached))

    def notes(self) -> Any:
        """Return the answers, and what the outer recorder has noted."""
        return self._notes, None if self.outer is None else self.outer.notes()
