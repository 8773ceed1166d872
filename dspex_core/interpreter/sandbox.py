"""A session of the sandbox, and the process that serves it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.errors import InterpreterError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.interpreter.contract import Execution
from dspex_core.interpreter.failures import crashed, raised
from dspex_core.interpreter.values import value_out

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pydantic_monty import (
        ExternalResult,
        FunctionSnapshot,
        Monty,
        MontyComplete,
        MontySession,
        NameLookupSnapshot,
        SyncSnapshot,
    )

    from dspex_core.interpreter.failures import Limits

_START_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the code waits for."""

    name: str
    args: list[Any]
    kwargs: dict[str, Any]


class Printed:
    """Collects the printed text, up to a limit."""

    def __init__(self, room: int) -> None:
        self._parts: list[str] = []
        self._room = room
        self._left_out = 0

    def __call__(self, stream: str, text: str) -> None:
        """Add a piece."""
        kept = text[: self._room]
        self._left_out += len(text) - len(kept)
        if kept:
            self._room -= len(kept)
            self._parts.append(kept)

    @property
    def text(self) -> str:
        """The collected text, with a note on how much was cut."""
        cut = f"\n[cut: {self._left_out} characters are left out]" if self._left_out else ""
        return "".join(self._parts) + cut


class Sandbox:
    """Runs code up to its next tool call: `begin`, then `resume` with an answer until it has ended.

    It starts at its first use. After a failure that ends the session, the next `begin` starts another one. A closed
    sandbox is not reused: a thread may still be in it.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pool: Monty | None = None
        self._session: MontySession | None = None
        self._process: int | None = None
        self._running = False
        self._closed = False
        self._paused: FunctionSnapshot | None = None
        self._names: Collection[str] = ()
        self._printed = Printed(limits.max_output)
        self._spent = 0.0  # seconds that this execution's code has run, without the turn that began at `_since`
        self._since = 0.0

    def check_time(self, of_tools: float = 0.0) -> None:
        """End the session of an execution that runs too long: the sandbox's own limit restarts with each turn.

        Raises:
            InterpreterError: The time limit is reached.
        """
        own = self._spent + (time.monotonic() - self._since if self._running else 0.0)
        late = self._limits.out_of_time(own, of_tools, printed=self._printed.text)
        if late is not None:
            self._end_session()
            raise late

    def start(self) -> MontySession:
        """Return the session, started if needed.

        Raises:
            InterpreterError: The sandbox does not start.
        """
        if self._session is not None:
            return self._session
        with foreign_code():
            from pydantic_monty import Monty, MontyError  # a native library of 10 MB

        try:
            with foreign_code():
                if self._pool is None:
                    pool = Monty(max_processes=1, checkout_timeout=_START_TIMEOUT)
                    pool.__enter__()
                    self._pool = pool
                session = self._pool.checkout(limits=self._limits.of_sandbox(), os_policy={"sleep": "zero"})
                session.__enter__()
        except (MontyError, RuntimeError, OSError) as error:
            raise crashed(error) from error
        self._session, self._process = session, session.worker_pid
        return session

    def begin(self, code: str, variables: dict[str, Any], names: Collection[str]) -> ToolCall | Execution:
        """Run code until it calls one of the names or ends.

        Raises:
            InterpreterError: The code failed.
        """
        session = self.start()
        self._names, self._printed, self._spent = names, Printed(self._limits.max_output), 0.0
        return self._turn(lambda: session.feed_start(code, inputs=variables, print_callback=self._printed))

    def resume(self, answer: ExternalResult) -> ToolCall | Execution:
        """Answer the call that the code waits for, and continue as `begin` does."""
        paused, self._paused = self._paused, None
        if paused is None:
            raise InterpreterError("the interpreter was shut down by a tool", kind="usage", state_lost=True)
        return self._turn(lambda: paused.resume(answer))

    def close(self) -> None:
        """End the session and its process, also while another thread runs code in it."""
        self._closed = True
        if self._running and self._process is not None:  # ending the session would wait for the code
            with suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGTERM)
        self._end_session()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.__exit__(None, None, None)

    def _end_session(self) -> None:
        session, self._session = self._session, None
        self._paused = None
        if session is not None:
            session.__exit__(None, None, None)

    def _turn(self, step: Callable[[], SyncSnapshot]) -> ToolCall | Execution:
        with foreign_code():
            from pydantic_monty import MontyError  # as above

        if self._closed:  # while it started
            raise InterpreterError("the interpreter was shut down", kind="usage", state_lost=True)
        self._running, self._since = True, time.monotonic()
        try:
            with foreign_code():
                return self._until_pause(step())
        except MontyError as error:
            cause: Exception = error
            failure = raised(error, self._limits, printed=self._printed.text, session_ended=self._has_ended())
        except InterpreterError:
            raise
        except RuntimeError as error:  # of the pool itself
            cause, failure = error, crashed(error, printed=self._printed.text)
        finally:
            self._running = False
            self._spent += time.monotonic() - self._since
        if failure.state_lost:
            self._end_session()
        raise failure from cause

    def _until_pause(self, snapshot: SyncSnapshot) -> ToolCall | Execution:
        with foreign_code():
            from pydantic_monty import FunctionSnapshot, MontyComplete, NameLookupSnapshot  # as above

        while not isinstance(snapshot, MontyComplete):
            self.check_time()
            if isinstance(snapshot, NameLookupSnapshot):
                snapshot = self._looked_up(snapshot)
                continue
            assert isinstance(snapshot, FunctionSnapshot)  # the rest cannot follow a tool's answer
            if snapshot.is_os_function:
                snapshot = snapshot.resume_not_handled()
            elif snapshot.function_name not in self._names:
                undefined = f"name {snapshot.function_name!r} is not defined"
                snapshot = snapshot.resume({"exc_type": "NameError", "message": undefined})
            else:
                try:
                    call = ToolCall(snapshot.function_name, value_out(snapshot.args), value_out(snapshot.kwargs))
                except ValueError as error:
                    snapshot = snapshot.resume({"exception": error})
                else:
                    self._paused = snapshot
                    return call
        return Execution(self._printed.text, self._value(snapshot))

    def _looked_up(self, snapshot: NameLookupSnapshot) -> SyncSnapshot:
        """Return the value of a name that the code does not define: a function for a tool's name."""
        if snapshot.variable_name not in self._names:
            return snapshot.resume()

        def tool() -> None:
            """Represent a tool, of which the sandbox only uses the name."""

        tool.__name__ = snapshot.variable_name
        return snapshot.resume(value=tool)

    def _value(self, end: MontyComplete) -> Any:
        try:
            return value_out(end.output, max_size=self._limits.max_output)
        except ValueError as error:
            message = f"the value of the last expression cannot be returned: {error}; return a part of it, or a text"
            raise InterpreterError(
                message, kind="limit", limit="output", exception="ValueError", printed=self._printed.text
            ) from error

    def _has_ended(self) -> bool:
        return self._session is None or self._session.worker_pid is None
