"""What providers say of a prompt that is too long, and what else they say in nearly the same words."""

import pytest
from openai_server import Reply

from dspex_core.errors import (
    ContextWindowExceededError,
    LMAuthError,
    LMBillingError,
    LMInvalidRequestError,
    LMRateLimitError,
    LMServerError,
    LMTimeoutError,
)
from dspex_core.lm.client import LM
from dspex_core.lm.engines.error_words import is_too_long
from dspex_core.lm.engines.refusals import error_class
from dspex_core.messages import LMRequest, Message

TOO_LONG = {
    "OpenAI": "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
    "OpenAI, old": (
        "This model's maximum context length is 4097 tokens, however you requested 5097 tokens "
        "(1097 in your prompt; 4000 for the completion). Please reduce your prompt; or completion length."
    ),
    "OpenAI, responses": "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "OpenAI, one message": "Invalid 'messages[1].content': string too long. Expected a string with maximum length 10.",
    "a page": "The message you submitted was too long, please submit something shorter.",
    "a gateway": "Token limit exceeded: input 5000 > 4096",
    "Chinese": "输入长度超过模型最大长度限制",
    "Azure": "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens.",
    "Anthropic": "prompt is too long: 213462 tokens > 200000 maximum",
    "Anthropic, both": (
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or "
        "`max_tokens` and try again"
    ),
    "xAI": "This model's maximum prompt length is 131072 but the request contains 136973 tokens.",
    "xAI, sampling": (
        "Failed to start sampling: [input_too_large] Current message (1149677 tokens) exceeds budget (975424 tokens)"
    ),
    "vLLM": "The decoder prompt (length 10127) is longer than the maximum model length of 8192.",
    "vLLM, request": "This model's maximum context length is 8192 tokens. However, your request has 9000 input tokens.",
    "vLLM, no room": (
        "'max_tokens' or 'max_completion_tokens' is too large: 512. This model's maximum context length is 8192 tokens "
        "and your request has 8000 input tokens (512 > 8192 - 8000)."
    ),
    "SGLang": "The input (10000 tokens) is longer than the model's context length (8192 tokens).",
    "SGLang, both": (
        "Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total of "
        "9000 tokens: 8000 tokens from the input messages and 1000 tokens for the completion."
    ),
    "TGI": "Input validation error: `inputs` must have less than 1024 tokens. Given: 1234",
    "TGI, both": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 4000 and 512",
    "llama.cpp": "the request exceeds the available context size. try increasing the context size",
    "llama.cpp, count": "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
    "llama.cpp, batch": "input (600 tokens) is too large to process. increase the physical batch size",
    "llama-cpp-python": "Requested tokens (5000) exceed context window of 4096",
    "Ollama": "the input length exceeds the context length",
    "Ollama, cloud": "prompt too long; exceeded max context length by 100 tokens",
    "Gemini": "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
    "Vertex": "Unable to submit request because the input token count is 33000 but the model only supports up to 32768",
    "Bedrock": "Input is too long for requested model.",
    "Bedrock, count": "Too many input tokens. Max input tokens: 8192, request input token count: 10000",
    "Bedrock, Titan": "Malformed input request: expected maxLength: 50000, actual: 60000, please reformat your input",
    "Mistral": "Prompt contains 65674 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    "Groq": "Please reduce the length of the messages or completion.",
    "DeepSeek": "This model's maximum context length is 65536 tokens. However, you requested 100000 tokens.",
    "Fireworks": "The prompt is too long: 140000, model maximum context length: 131071",
    "Cohere": "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000.",
    "Cohere, other": "Try using a shorter prompt",
    "OpenRouter": (
        "This endpoint's maximum context length is 131072 tokens. However, you requested about 200000 tokens (190000 "
        "of text input, 10000 in the output). Please reduce the length of either one."
    ),
    "LM Studio": "The number of tokens to keep from the initial prompt is greater than the context length.",
    "LM Studio, loaded": "However, the model is loaded with context length of only 4096 tokens, which is not enough.",
    "MLX": "Prompt length exceeds the model's context window",
    "Moonshot": "Invalid request: Your request exceeded model token limit: 131072 (requested: 140000)",
    "AI21": "Prompt has 9000 tokens, which exceeds the maximum of 8191",
    "Databricks": "Input length 40000 tokens exceeds the maximum of 32768 tokens",
    "Copilot": "prompt token count of 135000 exceeds the limit of 128000",
    "Watsonx": "the number of input tokens 5000 cannot exceed the total tokens limit 4096 for this model",
    "DashScope": "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]",
    "Zhipu": "Prompt exceeds max length",
    "MiniMax": "invalid params, context window exceeds limit",
    "Hugging Face": "Input is too long for this model, shorten your input",
    "Perplexity": "The total length of all messages is too long.",
    "unknown": "too many input tokens",
    "typographic": "This model\u2019s maximum context length is 8192 tokens",
}

OTHER = {
    "OpenAI, minute": (
        "Request too large for gpt-4o in organization o on tokens per min (TPM): Limit 30000, Requested 38000. The "
        "input or output tokens must be reduced in order to run successfully."
    ),
    "Groq, minute": (
        "Request too large for model `llama` in organization `o` on tokens per minute (TPM): Limit 6000, Requested "
        "7000, please reduce your message size and try again."
    ),
    "Databricks, minute": "REQUEST_LIMIT_EXCEEDED: Exceeded workspace input tokens per minute rate limit for endpoint",
    "Anthropic, minute": "This request would exceed your organization's rate limit of 40,000 input tokens per minute.",
    "Moonshot, minute": "request reached organization TPM rate limit, current: 200, limit: 100 context tokens",
    "Gemini, quota": "Quota exceeded for metric: generate_content_free_tier_input_token_count, limit: 250000",
    "OpenRouter, credits": "Prompt tokens limit exceeded: 5000 > 1000. To increase, add credits",
    "OpenAI, max_tokens": (
        "max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas you provided "
        "100000."
    ),
    "Anthropic, max_tokens": "max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens",
    "DeepSeek, max_tokens": "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
    "Groq, max_tokens": (
        "`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less than the "
        "`context_window` for this model"
    ),
    "vLLM, max_tokens": (
        "'max_tokens' or 'max_completion_tokens' is too large: 9000. This model's maximum context length is 8192 "
        "tokens and your request has 100 input tokens (9000 > 8192 - 100)."
    ),
    "Vertex, max_tokens": (
        "Unable to submit request because it has a maxOutputTokens value of 100000 but the supported range is from 1 "
        "(inclusive) to 8193 (exclusive)."
    ),
    "Bedrock, max_tokens": "The maximum tokens you requested exceeds the model limit of 4096",
    "DashScope, max_tokens": "Range of max_tokens should be [1, 8192]",
    "no subject": "temperature exceeds the maximum of 2",
    "another limit": "messages: at least one message is required",
    "an image": "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum: 5316852 bytes > 5242880 bytes",
    "no model": "The model `gpt-9` does not exist or you do not have access to it.",
}


@pytest.fixture
def call(server):
    def call(**arguments):
        arguments = {"num_retries": 0, **arguments}
        lm = LM("openai/gpt-4o-mini", api_base=server.base_url, api_key="k", cache=False, engine="direct", **arguments)
        return lm.complete(LMRequest((Message("user", "hi"),)))

    return call


@pytest.mark.parametrize("message", TOO_LONG.values(), ids=TOO_LONG)
def test_a_prompt_that_is_too_long_is_known_by_its_words(message):
    for status in (400, 413, 422, 500, 200):
        assert error_class(status, message) is ContextWindowExceededError


@pytest.mark.parametrize("message", OTHER.values(), ids=OTHER)
def test_limits_of_the_account_and_of_the_reply_are_something_else(message):
    assert not is_too_long(message)
    assert error_class(400, message) is LMInvalidRequestError


def test_a_limit_of_tokens_in_a_minute_is_a_rate_limit_whatever_the_status():
    assert error_class(413, OTHER["Groq, minute"], "rate_limit_exceeded", "tokens") is LMRateLimitError
    assert error_class(429, OTHER["OpenAI, minute"]) is LMRateLimitError
    assert error_class(429, TOO_LONG["OpenAI"]) is LMRateLimitError


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        ({"error": {"code": 429, "message": "m"}}, LMRateLimitError, "m"),
        ({"error": {"code": "429", "message": "m"}}, LMRateLimitError, "m"),
        ({"error": {"code": 429.0, "message": "m"}}, LMRateLimitError, "m"),
        ({"error": {"status": "RESOURCE_EXHAUSTED", "message": "m"}}, LMRateLimitError, "m"),
        ({"error": {"type": "rate_limit_error", "message": "m"}}, LMRateLimitError, "m"),
        ({"error": {"error": {"code": 503, "message": "m"}}}, LMServerError, "m"),
        ({"error": {"message": '{"error": {"code": 529, "message": "m"}}'}}, LMServerError, "m"),
        ({"error": "Rate limit reached"}, LMRateLimitError, "Rate limit reached"),
        ({"error": "model overloaded, try again"}, LMServerError, "overloaded"),
        ({"error": ["upstream timed out"]}, LMTimeoutError, "timed out"),
        ({"error": {"code": 401, "message": "m"}}, LMAuthError, "m"),
        ({"error": {"code": "insufficient_quota", "message": "m"}}, LMBillingError, "m"),
        ({"error": {"code": "invalid_value", "message": "m"}}, LMInvalidRequestError, "m"),
        ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, LMBillingError, "balance"),
        ({"object": "error", "message": "m", "type": "BadRequestError", "code": 400}, LMInvalidRequestError, "m"),
        ({"detail": "Internal Server Error"}, LMServerError, "Internal"),
        (
            {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": TOO_LONG["OpenAI"]}}},
            ContextWindowExceededError,
            "Provider returned error: This model's maximum",
        ),
    ],
)
@pytest.mark.parametrize("choices", [{}, {"choices": []}, {"choices": None}])
def test_an_error_inside_a_success_has_the_type_of_what_it_says(call, server, said, kind, message, choices):
    server.replies.append(Reply(body={**said, **choices}))
    with pytest.raises(kind, match=message) as caught:
        call()
    assert type(caught.value) is kind
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [408, 409, 425, 429, 498, 500, 502, 503, 504, 529])
def test_what_may_pass_is_tried_again(call, server, status):
    server.replies.append(Reply(status=status, body={"error": {"message": "m"}}, headers={"Retry-After": "0"}))
    assert call(num_retries=1).text == "ok"
