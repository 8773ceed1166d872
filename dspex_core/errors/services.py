"""Errors of programs that are served to others. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from dspex_core.errors.base import DSPexError

if TYPE_CHECKING:
    from collections.abc import Mapping


class ServiceError(DSPexError):
    """A request to a served program that was not answered with its outputs.

    `code` names the kind for programs that read it, and never changes; `status` is that of HTTP. The message and the
    details are for the caller: they hold no secrets, and nothing of another request.

    Args:
        message: What went wrong, and what to do.
        details: JSON data for programs.
    """

    code: str = "internal_error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        self.reason = message
        self.details = dict(details or {})
        super().__init__(message)

    def to_json(self, request_id: str | None = None) -> dict[str, Any]:
        """Return the error as a caller receives it."""
        body = {"code": self.code, "message": self.reason, "details": self.details, "request_id": request_id}
        return {"error": body}


class BadInputError(ServiceError):
    """Inputs that do not fit the program's schema; `details["faults"]` has each, with the `path` to its field."""

    code = "invalid_input"
    status = 422


class BusyError(ServiceError):
    """A request that was not begun, as too many are under way.

    Args:
        message: What went wrong, and what to do.
        details: JSON data for programs.
        retry_after: After how many seconds a new try makes sense.
    """

    code = "busy"
    status = 503

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None, retry_after: float = 1.0) -> None:
        self.retry_after = retry_after
        super().__init__(message, details=details)


class ShuttingDownError(BusyError):
    """A request that was not begun, as the service ends."""

    code = "shutting_down"


class TimedOutError(ServiceError):
    """A request that took too long, and was stopped."""

    code = "timed_out"
    status = 504


class WorkerCrashedError(ServiceError):
    """A request whose worker process ended before it had answered."""

    code = "worker_crashed"
    status = 502


class OverBudgetError(ServiceError):
    """A request that needs more calls, tokens or dollars than one request may use."""

    code = "over_budget"
    status = 429


class ProgramFailedError(ServiceError):
    """A request on which the program raised an error; `details["type"]` is its class."""

    code = "program_failed"
