"""The door of dspex LMs: their calls are recorded in a cassette and replayed from it. PYTEST_DONT_REWRITE

A replayed call costs a hash and a dict lookup; no engine is imported for it.
"""

from __future__ import annotations

import dataclasses
import os
import textwrap
import threading
from typing import TYPE_CHECKING, Literal

import pytest

from dspex_core import LMResponse
from pytest_dspex.cassettes.difference import difference
from pytest_dspex.cassettes.elsewhere import MissElsewhereError
from pytest_dspex.cassettes.redact import without_secrets
from pytest_dspex.cassettes.store import CassetteError, Entry, last_message
from pytest_dspex.reports.shown import shown

if TYPE_CHECKING:
    from pathlib import Path

    from dspex_core import LMRequest
    from dspex_core.plugin_api import Json
    from pytest_dspex.cassettes.store import CassetteStore

RecordMode = Literal["none", "new", "all"]

_SHOWN = 600  # characters of the last message
_ADVICE = "Record it with `pytest --dspex-record=new`, or ask the LM without a cassette with `pytest --dspex-live`."


class CassetteMiss(pytest.fail.Exception):  # type: ignore[name-defined,misc]  # its one public name is no type name
    """A test asked its LM for what its cassette does not hold.

    It is no `Exception`, so no program and no library takes it for a failed call, and one of
    pytest's own outcomes, so pytest shows the message alone and copes with it in fixtures.

    Args:
        path: The cassette; its name is the test function's.
        case: The id of the test case; empty for a test that has none.
        model: The model that was to be asked.
        request: The request's stored form.
        nearest: The recorded entry most like it, if there is one.
    """

    __module__ = "pytest_dspex"  # where it is public; pytest shows it

    def __init__(self, *, path: Path, case: str, model: str, request: Json, nearest: Entry | None) -> None:
        self.path = path
        self.case = case
        self.model = model
        self.request = request
        self.nearest = nearest
        last = last_message(request)
        test = f"{path.stem}[{case}]" if case else path.stem
        lines = [
            f"{test} asks {model!r} for what its cassette {path} does not hold.",
            "The request's last message:",
            _indented(last if len(last) <= _SHOWN else f"{last[:_SHOWN]} [...]"),
            self._explanation(),
            _ADVICE,
        ]
        if not path.exists():  # what was asked does not matter then, and there may be a miss in every test
            lines = [f"{test} asks {model!r}, and nothing is recorded yet: there is no {path}.", _ADVICE]
        super().__init__(shown("\n".join(lines)), pytrace=False)

    def _explanation(self) -> str:
        if self.nearest is None:
            return "Nothing like it is recorded."
        changes = difference(self.nearest, model=self.model, case=self.case, request=self.request)
        if not changes:
            return "A recorded request reads the same under another key: it was edited, or is of another version."
        return f"The nearest recorded request (-) differs from it (+):\n{_indented(changes)}"


class CassetteRecorder:
    """Replays and records the LM calls of one test case; it implements `dspex_core`'s `Recorder`.

    Args:
        store: The cassette.
        case: The test case's id, which is part of each key: equal requests of two cases are two entries.
        record: `"none"` replays only, and raises `CassetteMiss` for the rest; `"new"` lets the LM
            answer the rest and records it; `"all"` lets the LM answer everything.

    A key has one answer in a run, also with `"all"`: who asks again, be it a rerun of a failed
    test, is told what was recorded, as in every later replay. A program that wants another
    answer sets another `rollout_id`. A call that fails is not recorded.

    `replayed`, `recorded` and `missed` count calls. Threads may share it.
    """

    def __init__(self, store: CassetteStore, *, case: str, record: RecordMode) -> None:
        self.replayed = 0
        self.recorded = 0
        self.missed = 0
        self._store = store
        self._case = case
        self._mode = record
        self._process = os.getpid()
        self.unseen: CassetteMiss | None = (
            None  # a miss in a forked child, where it must not be one of pytest's failures
        )
        self._lock = threading.Lock()

    def replay(self, model: str, request: LMRequest) -> LMResponse | None:
        """Return the recorded response; `None` lets the LM answer.

        Raises:
            CassetteMiss: There is none, and nothing may be recorded.
            MissElsewhereError: The same, in a forked child.
            CassetteError: The cassette is damaged.
        """
        request = _without_secrets(request)
        entry = self._store.lookup(request.key(model, self._case), fresh=self._mode == "all")
        if entry is not None:
            response = self._response(entry)
            with self._lock:
                self.replayed += 1
            return response
        if self._mode != "none":
            return None
        with self._lock:
            self.missed += 1
        asked = request.to_json()
        nearest = self._store.nearest(asked, self._case)
        miss = CassetteMiss(path=self._store.path, case=self._case, model=model, request=asked, nearest=nearest)
        if os.getpid() != self._process:
            self.unseen = miss
            raise MissElsewhereError(str(miss))
        raise miss

    def record(self, model: str, request: LMRequest, response: LMResponse) -> None:
        """Keep what the LM has just answered, unless this run has an answer to the same request."""
        request = _without_secrets(request)
        key = request.key(model, self._case)
        if self._store.add(Entry(key, model, self._case, request.to_json(), response.to_json())):
            with self._lock:
                self.recorded += 1

    def _response(self, entry: Entry) -> LMResponse:
        try:
            return LMResponse.from_json(entry.response, cached=True)
        except (KeyError, TypeError) as error:
            message = (
                f"the response of entry {entry.key!r} (case {entry.case!r}) cannot be read ({error!r}); "
                "delete its line and record it again with --dspex-record=new"
            )
            raise CassetteError(message, path=self._store.path) from error


def _without_secrets(request: LMRequest) -> LMRequest:
    return dataclasses.replace(request, config=without_secrets(request.config))


def _indented(text: str) -> str:
    return textwrap.indent(text, "    ", lambda _: True)
