"""The seam between programs that are served and the ways to reach them: HTTP, tools of MCP. PYTEST_DONT_REWRITE

A `Backend` runs one program, in this process or in workers of its own. A front end knows the program by its
`ServedProgram` alone, gives JSON data to `call`, and gets JSON data or a `ServiceError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from dspex_core.errors import (
    BudgetExceededError,
    OverBudgetError,
    ProgramFailedError,
    ServiceError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

JSONObject = Mapping[str, Any]  # names to JSON values


@dataclass(frozen=True, slots=True)
class ServedProgram:
    """What callers know of a program; JSON data alone, so it can be sent to and from other processes.

    Args:
        name: Its name in URLs and as a tool: letters, digits, `_` and `-`.
        description: What it does, for people and models.
        input_schema: The JSON schema of the inputs, an object. Types used more than once stand under `$defs`.
        output_schema: That of the outputs, also an object; an open one where the program does not say what it returns.
    """

    name: str
    description: str
    input_schema: JSONObject
    output_schema: JSONObject


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an output that the program is writing.

    Args:
        predictor: The path in the program of the predictor that writes it.
        field: The output.
        delta: The next part of its text; for a value that is not text, of its JSON.
        is_last: Whether the output is then complete.
        replaces: Whether it is all of the output, and the pieces before it were a draft.
    """

    predictor: str
    field: str
    delta: str
    is_last: bool = False
    replaces: bool = False


OnChunk = Callable[[Piece], None]


@runtime_checkable
class Backend(Protocol):
    """Runs one program for its callers. All methods are called in one event loop."""

    @property
    def program(self) -> ServedProgram:
        """The program that it runs; known before `start`."""

    async def start(self) -> None:
        """Get ready to answer.

        Raises:
            ServiceError: It cannot run the program.
        """

    def ready(self) -> bool:
        """Return whether a call would be begun now, as far as it is known."""

    async def call(self, inputs: JSONObject, *, timeout: float, on_chunk: OnChunk | None = None) -> JSONObject:  # noqa: ASYNC109  workers keep it, too
        """Run the program.

        The current OpenTelemetry span is that of the request. Cancelling the call stops the program.

        Args:
            inputs: JSON data, not checked yet.
            timeout: After how many seconds to stop it.
            on_chunk: Takes the pieces of outputs while they are written, in the event loop's thread. It does not block.

        Raises:
            ServiceError: No outputs; whatever else the program raises has become one.
        """

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109  what is late is stopped
        """Begin no further call, wait for those under way for up to `timeout` seconds, stop the rest, and end."""


@runtime_checkable
class Counted(Protocol):
    """A backend that has numbers of its own for metrics, such as how many workers are ready."""

    def counts(self) -> Mapping[str, float]:
        """Return the numbers by name; always the same names."""


def service_error(error: BaseException) -> ServiceError:
    """Return the error that a caller receives for an error of the program.

    Its message says the kind alone: the words of the original may hold secrets or the inputs of others.
    """
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, BudgetExceededError):
        limits = {"kind": error.kind, "limit": error.limit}
        return OverBudgetError(
            f"one request may use {error.limit:g} {error.kind}, which were not enough", details=limits
        )
    kind = type(error).__name__
    return ProgramFailedError(f"the program raised {kind}; the service's log says where", details={"type": kind})


def from_json(stored: JSONObject) -> ServiceError:
    """Return the error that `to_json` has written, such as that of another process."""
    body = stored["error"]
    code = body["code"]
    kind = next((kind for kind in _kinds(ServiceError) if kind.code == code), ServiceError)
    error = kind(body["message"], details=body["details"])
    error.code = code
    return error


def _kinds(kind: type[ServiceError]) -> Iterator[type[ServiceError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _kinds(one)
