"""What a user's `except` catches in DSPy, it catches here."""

import pytest

KINDS = {  # class: its bases in DSPy that users catch, and its code
    "LMError": ("DSPyError", "lm_error"),
    "LMTransportError": ("LMError", "transport"),
    "LMConfigurationError": ("LMError", "configuration"),
    "LMNotConfiguredError": ("LMConfigurationError", "not_configured"),
    "LMUnsupportedFeatureError": ("LMError", "unsupported_feature"),
    "LMProviderError": ("LMError", "provider"),
    "LMUnexpectedError": ("LMError", "unexpected"),
    "LMAuthError": ("LMProviderError", "auth"),
    "LMBillingError": ("LMProviderError", "billing"),
    "LMRateLimitError": ("LMProviderError", "rate_limit"),
    "LMInvalidRequestError": ("LMProviderError", "invalid_request"),
    "LMUnsupportedModelError": ("LMInvalidRequestError", "unsupported_model"),
    "LMTimeoutError": ("LMProviderError", "timeout"),
    "LMServerError": ("LMProviderError", "server"),
    "ContextWindowExceededError": ("LMInvalidRequestError", "context_window_exceeded"),
}


@pytest.fixture(params=["real", "ours"])
def dspy(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_of_failure_made_by_a_user(dspy, name):
    base, code = KINDS[name]
    kind = getattr(dspy, name)

    error = kind(message="too bad", model="openai/gpt-4o-mini", provider="openai", status=418, request_id="r")

    assert isinstance(error, getattr(dspy, base))
    assert (error.code, error.message, error.model, error.status) == (code, "too bad", "openai/gpt-4o-mini", 418)
    assert str(error) == "[openai/gpt-4o-mini] too bad"
    assert kind().code == code
    assert kind(code="mine").code == "mine"


def test_which_failures_may_pass(dspy):
    passing = {name for name in KINDS if dspy.is_retryable_lm_error(getattr(dspy, name)())}

    assert passing == {"LMTransportError", "LMRateLimitError", "LMTimeoutError", "LMServerError"}
    assert not dspy.is_retryable_lm_error(ValueError())


def test_a_prompt_that_is_too_long_says_so_by_itself(dspy):
    assert str(dspy.ContextWindowExceededError())


def test_what_a_feature_lacks(dspy):
    error = dspy.LMUnsupportedFeatureError("no", features=["tools"], issues=["none"], model="m")

    assert (error.features, error.issues, str(error)) == (["tools"], ["none"], "[m] no")


def test_a_reply_that_cannot_be_read_made_by_a_user(dspy):
    signature = dspy.Signature("question -> answer")
    error = dspy.AdapterParseError("Mine", signature, "blah", "no marker", {"answer": "x"})

    assert (error.adapter_name, error.lm_response, dict(error.parsed_result)) == ("Mine", "blah", {"answer": "x"})
    assert "no marker" in str(error)
    assert error.code == "adapter_parse_error"
    assert isinstance(error, dspy.DSPyError)


def undeclared(dspy):
    class Bad(dspy.Signature):
        question: str = "not a field"
        answer: str = dspy.OutputField()

    return Bad


@pytest.mark.parametrize(
    ("kind", "do"),
    [
        (TypeError, undeclared),
        (ValueError, lambda dspy: dspy.Signature("question answer")),
        (FileNotFoundError, lambda dspy: dspy.Predict("a -> b").load("/nowhere/state.json")),
        (OSError, lambda dspy: dspy.Predict("a -> b").load("/nowhere/state.json")),
        (ValueError, lambda dspy: dspy.Predict("a -> b").load("/nowhere/state.pkl")),
        (ValueError, lambda dspy: dspy.Predict("a -> b").load("/nowhere/state.txt")),
        (ValueError, lambda dspy: dspy.load("/nowhere")),
        (ValueError, lambda dspy: dspy.Predict("a -> b")("x")),
        (ValueError, lambda dspy: dspy.Predict("a -> b")(a="x")),
        (ValueError, lambda dspy: dspy.Tool(lambda x: x)(y=1)),
        (AttributeError, lambda dspy: dspy.settings.nothing_like_this),
    ],
)
def test_what_is_raised_is_also_the_builtin_that_dspy_raises(dspy, kind, do):
    with dspy.context(lm=None), pytest.raises(kind):
        do(dspy)


def test_code_that_fails_in_the_sandbox(ours):
    with pytest.raises(ours.CodeExecutionError), ours.PythonInterpreter() as interpreter:
        interpreter.execute("1 / 0")
    assert issubclass(ours.CodeExecutionError, ours.CodeInterpreterError)
    assert issubclass(ours.CodeInterpreterError, RuntimeError)
