"""Every error that dspex raises, as one tree. PYTEST_DONT_REWRITE

    DSPexError
     ├─ SignatureError                 a signature that cannot be built or does not fit
     │   └─ UndeclaredFieldError       a field that is neither an input nor an output
     ├─ ConfigurationError             settings, options or arguments that cannot work
     ├─ DatasetError                   a dataset file or row that cannot be used
     ├─ ArtifactError                  a stored program that cannot be read, written or applied
     │   └─ MissingArtifactError       a stored program whose file is not there
     ├─ AdapterParseError              a reply that does not hold the signature's outputs
     │   └─ TruncatedReplyError        because it was cut off before its end
     ├─ ScriptExhaustedError           a scripted LM that has no reply left
     ├─ OptimizationError              an optimizer that cannot compile
     ├─ EvaluationError                an evaluation stopped after too many failed examples
     ├─ RecordedError                  an error of another process or an earlier run, in words
     ├─ ParallelError                  a batch stopped after too many failed examples
     ├─ BudgetExceededError            a call that the budget has nothing left for
     ├─ LiveCallRefusedError           a call to a model in a process that only replays recorded answers
     ├─ InterpreterError               code in the sandbox that failed or was stopped
     │   └─ CodeExecutionError         code that raised, or that could not be read
     ├─ ToolExecutionError             a tool that could not be called, raised, or took too long
     │   └─ ToolArgumentsError         arguments that are not what the tool takes
     ├─ StraySignalError               code that let a StopIteration or the like escape
     ├─ ToolServerError                a server of tools that is not, or no longer, connected
     └─ LMError                        a call to a language model that failed
         ├─ LMConfigurationError       an LM that is set up in a way that cannot work
         │   └─ LMNotConfiguredError   no LM, no key, no such provider, no weights
         ├─ LMUnsupportedFeatureError  the model or the engine cannot do what was asked
         ├─ LMUnexpectedError          a failure that nobody foresaw
         ├─ LMTransportError           no (whole) reply arrived                    (retryable)
         ├─ LMResponseError            a reply that is not what the wire format promises
         ├─ LMRefusalError             the model, or a filter behind it, refused to answer
         └─ LMProviderError            the provider failed or refused
             ├─ LMTimeoutError         no reply in time                            (retryable)
             ├─ LMAuthError            the credentials were refused
             ├─ LMBillingError         the account cannot pay
             ├─ LMRateLimitError       too many requests                           (retryable)
             ├─ LMServerError          the provider failed                         (retryable)
             └─ LMInvalidRequestError  the provider refused the request
                 ├─ LMUnsupportedModelError     it has no such model
                 └─ ContextWindowExceededError  the prompt is too long for the model

Each error carries what a program needs to react to it as attributes; the message says what
went wrong, with which value, and what to do next.
"""

from __future__ import annotations

from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dspex_core.process.portable_errors import reduced

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BudgetKind = Literal["calls", "tokens", "dollars"]
InterpreterErrorKind = Literal["syntax", "exception", "limit", "crash", "usage"]
InterpreterLimit = Literal["time", "memory", "recursion", "output"]
ToolErrorKind = Literal["unknown_tool", "arguments", "raised", "timeout", "needs_async"]


class DSPexError(Exception):
    """Base class of every error that dspex raises on purpose; `code` names its kind where DSPy has a name for it."""

    code: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)


class SignatureError(DSPexError, ValueError):
    """A signature that cannot be built, or inputs that do not fit one."""


class UndeclaredFieldError(SignatureError, TypeError):
    """A field of a signature that is declared neither as an input nor as an output."""


class ConfigurationError(DSPexError, ValueError):
    """Settings, options or arguments that cannot work together."""


class DatasetError(DSPexError, ValueError):
    """A dataset that cannot be used; `path` and `line` (1-based) say where, when known."""

    def __init__(self, message: str, *, path: str | None = None, line: int | None = None) -> None:
        self.path = path
        self.line = line
        where = ":".join(str(part) for part in (path, line) if part is not None)
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
        self.parsed_result = dict(parsed_result or {})
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


class ScriptExhaustedError(DSPexError):
    """A scripted LM was called more often than it has replies; `calls` counts those answered."""

    def __init__(self, message: str, *, calls: int) -> None:
        self.calls = calls
        super().__init__(message)


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


class ParallelError(DSPexError):
    """A batch that stopped early.

    Args:
        message: Why.
        results: What was done, in the order of the examples; `None` for what failed or was not begun.
        exceptions: The errors by the position of their example.
    """

    def __init__(self, message: str, *, results: Sequence[Any], exceptions: Mapping[int, Exception]) -> None:
        self.results = tuple(results)
        self.exceptions = dict(exceptions)
        super().__init__(message)


class BudgetExceededError(DSPexError):
    """A call that was not made, because the budget has too little left for it.

    Args:
        kind: What there is too little of: `"calls"`, `"tokens"` or `"dollars"`.
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
            "DSPEX_REPLAY=1 for the processes that it starts), and no cassette stands before this call. Make the call "
            "in a test of that session, run pytest with --dspex-live, or start the process with DSPEX_REPLAY="
        )


class ToolExecutionError(DSPexError):
    """A call of a tool that brought no result; what a tool raised is its cause.

    Args:
        tool: The tool's name.
        args: The arguments that it was called with.
        reason: What went wrong, in words for the model that asked for the call.
        kind: `"unknown_tool"`, `"arguments"` (they do not fit), `"raised"` (the tool did), `"timeout"`, or
            `"needs_async"` (it cannot be waited for in this thread).
    """

    def __init__(self, tool: str, args: Mapping[str, Any], reason: str, *, kind: ToolErrorKind = "raised") -> None:
        super().__init__(f"{tool}: {reason}")
        self.tool = tool
        self.reason = reason
        self.kind = kind
        self.arguments = dict(args)

    @property
    def args(self) -> dict[str, Any]:  # type: ignore[override]  # what a tool takes is called so everywhere
        """The arguments that the tool was called with, as `arguments`."""
        return self.arguments


class ToolArgumentsError(ToolExecutionError, ValueError):
    """Arguments that are not what the tool takes; the reason lists each."""

    def __init__(self, tool: str, args: Mapping[str, Any], reason: str) -> None:
        super().__init__(tool, args, reason, kind="arguments")


class InterpreterError(DSPexError, RuntimeError):
    """Code that an interpreter could not run to its end.

    Args:
        message: What went wrong.
        kind: `"syntax"`: the code cannot be read, so none of it has run. `"exception"`: it raised one.
            `"limit"`: it reached a limit. `"crash"`: the interpreter's process ended, or did not start.
            `"usage"`: the caller's mistake, such as a variable that cannot be passed.
        exception: The class of the exception that ended the code, such as `"ZeroDivisionError"`.
        line: The line of the code, from 1.
        traceback: The code's traceback, as text.
        limit: Which limit: `"time"`, `"memory"`, `"recursion"` or `"output"`.
        printed: What the code had printed before.
        state_lost: Whether what earlier executions defined is gone.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: InterpreterErrorKind = "exception",
        exception: str | None = None,
        line: int | None = None,
        traceback: str = "",
        limit: InterpreterLimit | None = None,
        printed: str = "",
        state_lost: bool = False,
    ) -> None:
        self.message = message
        self.kind = kind
        self.exception = exception
        self.line = line
        self.traceback = traceback
        self.limit = limit
        self.printed = printed
        self.state_lost = state_lost
        where = f" (line {line})" if line else ""
        lost = "; all variables are lost, and the next execution starts afresh" if state_lost else ""
        super().__init__(f"{message}{where}{lost}")


class CodeExecutionError(InterpreterError):
    """Code that raised an exception, or that could not be read."""


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


class ToolServerError(DSPexError, ConnectionError):
    """A server of tools that cannot be reached, or that has gone."""


class LMError(DSPexError):
    """A call to a language model that failed.

    Args:
        message: What went wrong and what to do next.
        model: The model string, such as `"openai/gpt-4o-mini"`.
        provider: The provider's name, such as `"openai"`.
        status: The HTTP status of the reply, if there was one.
        code: The kind of the failure, such as `"rate_limit"`; each class has its own.
        request_id: The provider's id of the request, if it sent one.
        retry_after: Seconds that the provider asked to wait before the next try.
        provider_code: The provider's own error code, if it sent one.
    """

    is_retryable: ClassVar[bool] = False
    default_code: ClassVar[str] = "lm_error"
    default_message: ClassVar[str] = ""

    def __init__(
        self,
        message: str = "",
        *,
        model: str | None = None,
        provider: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        provider_code: str | None = None,
    ) -> None:
        self.message = message = message or self.default_message
        self.model = model
        self.provider = provider
        self.status = status
        self.code = code or self.default_code
        self.provider_code = provider_code
        self.request_id = request_id
        self.retry_after = retry_after
        super().__init__(f"[{model}] {message}" if model else message)


class LMConfigurationError(LMError, ValueError):
    """The LM is set up in a way that cannot work."""

    default_code = "configuration"


class LMNotConfiguredError(LMConfigurationError):
    """The call cannot be made: no LM, no such provider, no key, or no weights."""

    default_code = "not_configured"


class LMUnsupportedFeatureError(LMError):
    """The model or the engine cannot do what was asked; `features` names what, `issues` says why."""

    default_code = "unsupported_feature"

    def __init__(
        self, message: str = "", *, features: Sequence[str] = (), issues: Sequence[str] = (), **known: Any
    ) -> None:
        self.features = list(features)
        self.issues = list(issues)
        super().__init__(message, **known)


class LMUnexpectedError(LMError):
    """The call failed in a way that nobody foresaw; the cause says how."""

    default_code = "unexpected"


class LMTransportError(LMError):
    """No whole reply arrived: the connection failed or broke."""

    default_code = "transport"
    is_retryable = True


class LMResponseError(LMError):
    """The reply is not what the wire format promises."""

    default_code = "response"


class LMRefusalError(LMError):
    """The model refused to answer, in the words of the message, or the provider's filter withheld the answer."""

    default_code = "refusal"


class LMProviderError(LMError):
    """The provider failed to serve the request, or refused it."""

    default_code = "provider"


class LMTimeoutError(LMProviderError):
    """No whole reply arrived in the time allowed."""

    default_code = "timeout"
    is_retryable = True


class LMAuthError(LMProviderError):
    """The provider refused the credentials."""

    default_code = "auth"


class LMBillingError(LMProviderError):
    """The provider refused because the account cannot pay for the call."""

    default_code = "billing"


class LMRateLimitError(LMProviderError):
    """The provider refused because too many requests were made."""

    default_code = "rate_limit"
    is_retryable = True


class LMServerError(LMProviderError):
    """The provider failed while it served the request."""

    default_code = "server"
    is_retryable = True


class LMInvalidRequestError(LMProviderError):
    """The provider refused the request as invalid."""

    default_code = "invalid_request"


class LMUnsupportedModelError(LMInvalidRequestError):
    """The provider has no such model."""

    default_code = "unsupported_model"


class ContextWindowExceededError(LMInvalidRequestError):
    """The prompt (and the completion asked for) is longer than the model allows."""

    default_code = "context_window_exceeded"
    default_message = "the prompt is longer than the model allows"


def is_retryable_lm_error(error: BaseException) -> bool:
    """Return whether another try of the call may do better."""
    return isinstance(error, LMError) and error.is_retryable
