"""Every error that dspex raises, as one tree. PYTEST_DONT_REWRITE

    DSPexError
     ├─ SignatureError                 a signature that cannot be built or does not fit
     │   └─ UndeclaredFieldError       a field that is neither an input nor an output
     ├─ ConfigurationError             settings, options or arguments that cannot work
     ├─ DatasetError                   a dataset file or row that cannot be used
     ├─ ArtifactError                  a stored program that cannot be read, written or applied
     │   ├─ MissingArtifactError       a stored program whose file is not there
     │   └─ StaleArtifactError         a stored program that was compiled from another source
     ├─ AdapterParseError              a reply that does not hold the signature's outputs
     │   └─ TruncatedReplyError        because it was cut off before its end
     ├─ JudgeError                     a judge whose model failed, or whose answer cannot be used
     ├─ ScriptExhaustedError           a scripted LM that has no reply left
     ├─ OptimizationError              an optimizer that cannot compile
     ├─ EvaluationError                an evaluation stopped after too many failed examples
     ├─ RecordedError                  an error of another process or an earlier run, in words
     ├─ WorkerError                    a worker of an executor that cannot do its work
     ├─ ParallelError                  a batch stopped after too many failed examples
     ├─ BudgetExceededError            a call that the budget has nothing left for
     ├─ LiveCallRefusedError           a call to a model in a process that only replays recorded answers
     ├─ InterpreterError               code in the sandbox that failed or was stopped
     │   └─ CodeExecutionError         code that raised, or that could not be read
     ├─ ToolExecutionError             a tool that could not be called, raised, or took too long
     │   └─ ToolArgumentsError         arguments that are not what the tool takes
     ├─ StraySignalError               code that let a StopIteration or the like escape
     ├─ ToolServerError                a server of tools that is not, or no longer, connected
     ├─ ServiceError                   a request to a served program that was not answered
     │   ├─ BadInputError              inputs that do not fit the program's schema
     │   ├─ BusyError                  too many requests are under way             (try again later)
     │   │   └─ ShuttingDownError      the service ends                            (try again later)
     │   ├─ TimedOutError              it took too long
     │   ├─ WorkerCrashedError         its worker process ended
     │   ├─ OverBudgetError            it needs more than one request may use
     │   └─ ProgramFailedError         the program raised an error
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

from dspex_core.errors.base import DSPexError
from dspex_core.errors.calls import BudgetExceededError, BudgetKind, LiveCallRefusedError, ScriptExhaustedError
from dspex_core.errors.models import (
    ContextWindowExceededError,
    LMAuthError,
    LMBillingError,
    LMConfigurationError,
    LMError,
    LMInvalidRequestError,
    LMNotConfiguredError,
    LMProviderError,
    LMRateLimitError,
    LMRefusalError,
    LMResponseError,
    LMServerError,
    LMTimeoutError,
    LMTransportError,
    LMUnexpectedError,
    LMUnsupportedFeatureError,
    LMUnsupportedModelError,
    is_retryable_lm_error,
)
from dspex_core.errors.programs import (
    AdapterParseError,
    ArtifactError,
    ConfigurationError,
    DatasetError,
    EvaluationError,
    JudgeError,
    MissingArtifactError,
    OptimizationError,
    ParallelError,
    RecordedError,
    SignatureError,
    StaleArtifactError,
    StaleArtifactWarning,
    StraySignalError,
    TruncatedReplyError,
    UndeclaredFieldError,
    WorkerError,
)
from dspex_core.errors.services import (
    BadInputError,
    BusyError,
    OverBudgetError,
    ProgramFailedError,
    ServiceError,
    ShuttingDownError,
    TimedOutError,
    WorkerCrashedError,
)
from dspex_core.errors.tools import (
    CodeExecutionError,
    InterpreterError,
    InterpreterErrorKind,
    InterpreterLimit,
    ToolArgumentsError,
    ToolErrorKind,
    ToolExecutionError,
    ToolServerError,
)

__all__ = [
    "AdapterParseError",
    "ArtifactError",
    "BadInputError",
    "BudgetExceededError",
    "BudgetKind",
    "BusyError",
    "CodeExecutionError",
    "ConfigurationError",
    "ContextWindowExceededError",
    "DSPexError",
    "DatasetError",
    "EvaluationError",
    "InterpreterError",
    "InterpreterErrorKind",
    "InterpreterLimit",
    "JudgeError",
    "LMAuthError",
    "LMBillingError",
    "LMConfigurationError",
    "LMError",
    "LMInvalidRequestError",
    "LMNotConfiguredError",
    "LMProviderError",
    "LMRateLimitError",
    "LMRefusalError",
    "LMResponseError",
    "LMServerError",
    "LMTimeoutError",
    "LMTransportError",
    "LMUnexpectedError",
    "LMUnsupportedFeatureError",
    "LMUnsupportedModelError",
    "LiveCallRefusedError",
    "MissingArtifactError",
    "OptimizationError",
    "OverBudgetError",
    "ParallelError",
    "ProgramFailedError",
    "RecordedError",
    "ScriptExhaustedError",
    "ServiceError",
    "ShuttingDownError",
    "SignatureError",
    "StaleArtifactError",
    "StaleArtifactWarning",
    "StraySignalError",
    "TimedOutError",
    "ToolArgumentsError",
    "ToolErrorKind",
    "ToolExecutionError",
    "ToolServerError",
    "TruncatedReplyError",
    "UndeclaredFieldError",
    "WorkerCrashedError",
    "WorkerError",
    "is_retryable_lm_error",
]
