"""Which recorded reply each of several equal requests gets. PYTEST_DONT_REWRITE

A model that samples gives equal requests different replies. The n-th equal request of a case is recorded under its key
and a label, `<key>#<n>`, and gets this reply again. In another lane than the test's own the label begins with the lane:
`#<lane>.<n>`. If no reply has the label, as the program's lanes have changed, it gets the first that is left. A key
without a label is that of a request that gets the same reply each time, or is of a cassette of an earlier version.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_dspex.cassettes.lanes import CaseLanes

if TYPE_CHECKING:
    from collections.abc import Collection

    from dspex_core import LMRequest
    from pytest_dspex.cassettes.lanes import Lane, Lanes

_MARK = "#"


def has_replies_of_its_own(request: LMRequest) -> bool:
    """Return whether each equal request has a reply of its own: a `rollout_id` names the reply that is wanted."""
    return request.is_sampled and request.rollout_id is None


def split_key(key: str) -> tuple[str, str]:
    """Return the key of the first equal request, and the label."""
    first, _, label = key.partition(_MARK)
    return first, label


def number_of(key: str) -> int:
    """Return how many equal requests in the lane of this one were before it."""
    return int(key.rpartition(_MARK)[2].rpartition(".")[2]) - 1 if _MARK in key else 0


def in_order(key: str) -> tuple[str, list[tuple[int, str]]]:
    """Return what keys are sorted by: their labels as numbers."""
    first, label = split_key(key)
    return first, [(len(part), part) for part in label.split(".")]


@dataclass(frozen=True, slots=True)
class Taken:
    """Which replies equal requests have had. Tuples of texts cost the garbage collector nothing.

    Args:
        labels: The labels of the replies, each after its key.
        numbers: How many requests there were, each after its key and lane.
    """

    labels: tuple[tuple[str, str], ...] = ()
    numbers: tuple[tuple[str, Lane, int], ...] = ()


_NOTHING = Taken()


class Repeats:
    """The equal requests of one case, in the order of its program. Threads may share it.

    Args:
        lanes: The lanes of the session's threads.
        taken: Which replies were taken before, in another process.
    """

    def __init__(self, lanes: Lanes, taken: Taken | None = None) -> None:
        taken = taken or _NOTHING
        self._lanes = CaseLanes(lanes)
        self._lock = threading.Lock()
        self._taken: dict[str, set[str]] = {}
        for key, label in taken.labels:
            self._taken.setdefault(key, set()).add(label)
        numbers = {(key, lane): number for key, lane, number in taken.numbers}
        self._numbers: defaultdict[tuple[str, Lane], int] = defaultdict(int, numbers)
        self._reserved: dict[int, tuple[object, str, Lane]] = {}  # by the id of the request object
        self._is_rerun = False
        self._seen: set[str] = set()  # the keys of this attempt

    def take(self, key: str, recorded: Collection[str], *, replays: bool) -> str | None:
        """Return the key under which the reply to the next equal request is recorded, or `None`.

        Args:
            key: The key of the request.
            recorded: The recorded labels. A rerun of a test goes on after the replies of the earlier attempt.
            replays: Whether a rerun gets the same replies again if no more are recorded.
        """
        with self._lock:
            lane = self._lanes.here()
            taken = self._taken.setdefault(key, set())
            if replays and self._is_rerun and key not in self._seen and taken.issuperset(recorded):
                self._forget(key)
                taken = self._taken[key] = set()
            self._seen.add(key)
            label = _label(lane, self._numbers[key, lane] + 1)
            if label not in recorded or label in taken:
                label = next((each for each in recorded if each not in taken), "")
            if not label:
                return None
            taken.add(label)
            self._numbers[key, lane] += 1
            return f"{key}{_MARK}{label}"

    def reserve(self, key: str, request: object, recorded: Collection[str]) -> str:
        """Return the key for the reply to a request that is about to be asked."""
        with self._lock:
            lane = self._lanes.here()
            taken = self._taken.setdefault(key, set())
            self._seen.add(key)
            self._numbers[key, lane] += 1
            while (label := _label(lane, self._numbers[key, lane])) in taken or label in recorded:
                self._numbers[key, lane] += 1
            taken.add(label)
            self._reserved[id(request)] = (request, f"{key}{_MARK}{label}", lane)
            return f"{key}{_MARK}{label}"

    def reserved(self, request: object) -> str | None:
        """Return the key that was reserved for a request's reply, once."""
        with self._lock:
            return self._reserved.pop(id(request), (None, None))[1]

    def release(self, request: object) -> None:
        """Give the key of a request that failed to the next equal one."""
        with self._lock:
            _, reserved, lane = self._reserved.pop(id(request), (None, "", ()))
            key, label = split_key(reserved)
            self._taken.get(key, set()).discard(label)
            if label == _label(lane, self._numbers[key, lane]):
                self._numbers[key, lane] -= 1

    def taken(self) -> Taken:
        """Return which replies were taken so far."""
        with self._lock:
            labels = tuple((key, label) for key, labels in self._taken.items() for label in sorted(labels))
            numbers = tuple((key, lane, number) for (key, lane), number in self._numbers.items())
        return Taken(labels, numbers) if labels or numbers else _NOTHING

    def count(self, key: str) -> int:
        """Return how many equal requests there were."""
        with self._lock:
            return len(self._taken.get(key, ()))

    def begin_again(self) -> None:
        """Go on with another attempt at the test."""
        with self._lock:
            self._is_rerun = True
            self._seen.clear()
        self._lanes.begin_again()

    def _forget(self, key: str) -> None:
        for each in [each for each in self._numbers if each[0] == key]:
            del self._numbers[each]


def _label(lane: Lane, number: int) -> str:
    return ".".join((*lane, str(number)))
