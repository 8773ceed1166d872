"""Parts that a forked child must not share with its parent: locks, connections, calls under way. PYTEST_DONT_REWRITE

A child gets a copy of the memory and of the open files, but of the threads only the one that forked. So
a lock that another thread held stays held for ever, and two processes would read from one connection.
"""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_IMPORT = 30.0  # seconds that a fork waits for imports in other threads


class Forkable(Protocol):
    """A part that keeps what a child must not share."""

    def before_fork(self) -> None:
        """Get ready, in the parent; most parts need not."""

    def after_fork(self) -> None:
        """Go on in the parent."""

    def in_child(self) -> None:
        """Begin anew in the child. Abandoned connections must not be closed: the parent still uses them."""


class RenewedInChild:
    """A part that only needs to begin anew in a child."""

    def before_fork(self) -> None:
        """Do nothing."""

    def after_fork(self) -> None:
        """Do nothing."""


class _Forks:
    """The parts that live, and those that the fork under way is about."""

    def __init__(self) -> None:
        self._parts: weakref.WeakSet[Forkable] = weakref.WeakSet()
        self._under_way: list[Forkable] = []
        self._one_at_a_time = threading.Lock()
        self.loading = threading.RLock()
        self._waited = False

    def add(self, part: Forkable) -> None:
        self._parts.add(part)

    def before(self) -> None:
        self._one_at_a_time.acquire()
        self._waited = self.loading.acquire(timeout=_LONGEST_IMPORT)
        self._under_way = list(self._parts)
        for part in self._under_way:
            part.before_fork()

    def after(self) -> None:
        for part in self._under_way:
            part.after_fork()
        if self._waited:
            self.loading.release()
        self._end()

    def in_child(self) -> None:
        self.loading = threading.RLock()
        for part in self._under_way:
            part.in_child()
        self._end()

    def _end(self) -> None:
        self._under_way = []
        self._one_at_a_time.release()


_forks = _Forks()
if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(before=_forks.before, after_in_parent=_forks.after, after_in_child=_forks.in_child)


def watch(part: Forkable) -> None:
    """Let a part know of every fork, as long as it lives."""
    _forks.add(part)


@contextmanager
def loading() -> Iterator[None]:
    """Import modules of the call path: forks in other threads wait.

    A child whose parent was importing a module in another thread finds the module's lock held for ever.
    """
    with _forks.loading:
        yield
