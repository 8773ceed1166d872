"""Errors of signatures, programs, their files and their runs. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from dspex_core.errors.base import DSPexError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class SignatureError(DSPexError, ValueError):
    """A signature that cannot be built, or inputs that do not fit one."""


class UndeclaredFieldError(SignatureError, TypeError):
    """A field of a signature that is declared neither as an input nor as an output."""


class ConfigurationError(DSPexError, ValueError):
    """Settings, options or arguments that cannot work together."""


class DatasetError(DSPexError, ValueError):
    """A dataset that cannot be used; `path` and `line` (1-based) say where, when known.

    Where several rows cannot be used, `problems` says for each what is wrong and where, and `line` is the first.
    """

    def __init__(
        self, message: str, *, path: str | None = None, line: int | None = None, problems: Sequence[str] = ()
    ) -> None:
        self.reason = message
        self.path = path
        self.line = line
        self.problems = tuple(problems)
        where = ":".join(str(part) for part in (path, None if problems else line) if part is not None)
        super().__init__(f"{where}: {message}" if where else message)


class ArtifactError(DSPexError, ValueError):
    """A stored program that cannot be read, written or applied; `problems` lists each reason."""

    def __init__(self, message: str, *, path: str | None = None, problems: Sequence[str] = ()) -> None:
        self.reason = message
        self.path = path
        self.problems = tuple(problems)
        lines = "".join(f"\n  - {problem}" for problem in self.problems)
        super().__init__(f"{path}: {message}{lines}" if path else f"{message}{lines}")


class MissingArtifactError(ArtifactError, FileNotFoundError):
    """A stored program whose file is not there."""


class StaleArtifactError(ArtifactError):
    """A stored program that was compiled from another source than the program has now; `problems` are the diff."""


class StaleArtifactWarning(UserWarning):
    """A stored program was loaded that was compiled from another source than the program has now."""


class JudgeError(DSPexError):
    """A judge that could not score: its model failed, or its answer cannot be read or is not on the scale."""


class AdapterParseError(DSPexError):
    """A reply from which the adapter could not read the signature's outputs.

    `missing` names the output fields that were not found, `invalid` maps a field to why its
    value does not fit the type, `parsed_result` holds the fields that could be read, `problems`
    says in lines what was wrong.
    """

    code = "adapter_parse_error"

    def __init__(
        self,
        adapter_name: str,
        signature: Any,
        lm_response: str,
        message: str | None = None,
        parsed_result: Mapping[str, Any] | None = None,
        *,
        missing: Sequence[str] = (),
        invalid: Mapping[str, str] | None = None,
    ) -> None:
        self.adapter_name = adapter_name
        self.signature = signature
        self.lm_response = lm_response
        self.parsed_result = None if parsed_result is None else dict(parsed_result)
        self.missing = tuple(missing)
        self.invalid = dict(invalid or {})
        problems = [message] if message else []
        if self.missing:
            problems.append(f"Missing: {', '.join(self.missing)}.")
        problems.extend(f"{name}: {reason}" for name, reason in self.invalid.items())
        self.problems = tuple(problems)
        first = f"{adapter_name} could not read the outputs of {signature!r} from the LM's reply."
        super().__init__("\n".join([first, *problems, f"The reply was: {lm_response!r}"]))


class TruncatedReplyError(AdapterParseError):
    """A reply that lacks outputs because it was cut off before its end: at `max_tokens`, or by the provider's filter.

    It is not asked for again, as other replies that cannot be read are: with the same limit it would end there, too.
    """


class OptimizationError(DSPexError):
    """An optimizer that cannot compile the program it was given."""

    def __init__(self, *, optimizer: str, reason: str, trainset_size: int | None = None) -> None:
        self.optimizer = optimizer
        self.reason = reason
        self.trainset_size = trainset_size
        super().__init__(f"{optimizer}: {reason}")


class EvaluationError(DSPexError):
    """An evaluation that stopped early; `result` holds everything that had finished."""

    def __init__(self, message: str, *, result: Any) -> None:
        self.result = result
        super().__init__(message)


class RecordedError(DSPexError):
    """An error of another process or an earlier run, of which the class and the message are known in words."""


class WorkerError(DSPexError):
    """Work of an executor that its worker could not do, or whose result could not leave the worker."""


class ParallelError(DSPexError):
    """A batch that stopped early.

    Args:
        message: Why.
        results: The finished results, in the order of the examples; `None` for the failed and those not begun.
        exceptions: The errors by the position of their example.
    """

    def __init__(self, message: str, *, results: Sequence[Any], exceptions: Mapping[int, Exception]) -> None:
        self.results = tuple(results)
        self.exceptions = dict(exceptions)
        super().__init__(message)


class StraySignalError(DSPexError, RuntimeError):
    """A program, metric or tool raised what only ends iterators: `StopIteration` and its like are signals, not errors.

    Args:
        function: The code that raised it.
        signal: The exception, which is the cause.
    """

    def __init__(self, function: Any, signal: BaseException) -> None:
        name = function.__qualname__ if isinstance(function, FunctionType | MethodType) else repr(function)
        kind = type(signal).__name__
        super().__init__(
            f"{name} raised {kind}{f' ({signal})' if str(signal) else ''}, which ends an iterator and cannot pass "
            f"through a program: give next() a default, or raise an error of another kind"
        )
