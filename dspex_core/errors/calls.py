"""Calls to models that were not made. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import Literal

from dspex_core.errors.base import DSPexError

BudgetKind = Literal["calls", "tokens", "dollars", "seconds"]


class ScriptExhaustedError(DSPexError):
    """A scripted LM was called more often than it has replies; `calls` counts those answered."""

    def __init__(self, message: str, *, calls: int) -> None:
        self.calls = calls
        super().__init__(message)


class BudgetExceededError(DSPexError):
    """A call that was not made, because the budget has too little left for it.

    Args:
        kind: What there is too little of: `"calls"`, `"tokens"`, `"dollars"` or `"seconds"`.
        limit: How much of it the budget allows.
        spent: How much of it is spent.
    """

    def __init__(self, *, kind: BudgetKind, limit: float, spent: float) -> None:
        self.kind = kind
        self.limit = limit
        self.spent = spent
        super().__init__(
            f"the budget of {limit:g} {kind} has no room for another call: {spent:g} are spent; "
            "give a larger one with context(budget=Budget(...))"
        )


class LiveCallRefusedError(DSPexError):
    """A call to a model in a process that only replays recorded answers; `model` is its name.

    A pytest session that does not run with `--dspex-live` is such a process, and so is each process that it starts.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(
            f"a call to {model!r} was refused: this process only replays recorded answers (a pytest session sets "
            "DSPEX_REPLAY=1 for the processes that it starts, also while it records), and no cassette stands before "
            "this call: only calls of the session's own processes are recorded. Make the call "
            "in a test of that session, run pytest with --dspex-live, or start the process with DSPEX_REPLAY="
        )
