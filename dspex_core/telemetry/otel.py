"""OpenTelemetry spans of programs, by the GenAI semantic conventions. PYTEST_DONT_REWRITE

    configure(listeners=[OpenTelemetry()])

Needs `pip install "pytest-dspex[otel]"`. Spans nest in each other and in the application's own spans, across threads
and tasks.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

from dspex_core.errors.foreign_code import foreign_code
from dspex_core.example import Record
from dspex_core.messages import TextPart
from dspex_core.plain.data import to_json
from dspex_core.plain.secrets import masked, without_secrets

try:
    with foreign_code():
        from opentelemetry import context, trace
except ImportError as error:
    raise ImportError('OpenTelemetry is not installed; pip install "pytest-dspex[otel]"') from error

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, TracerProvider

    from dspex_core.config.contracts import Event
    from dspex_core.messages import FunctionCall, LMOutput, LMRequest, LMResponse, Message

    Attributes = dict[str, Any]

# Kinds with a name in the conventions: the operation, and the attribute for its owner.
_OPERATIONS = {
    "tool": ("execute_tool", "gen_ai.tool.name"),
    "module": ("invoke_workflow", "gen_ai.workflow.name"),
    "agent": ("invoke_agent", "gen_ai.agent.name"),
    "retrieve": ("retrieval", "dspex.retriever"),
}
_SPAN_KINDS = {"lm": trace.SpanKind.CLIENT, "request": trace.SpanKind.SERVER}
_SAMPLING = {
    "temperature": "gen_ai.request.temperature",
    "max_tokens": "gen_ai.request.max_tokens",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "seed": "gen_ai.request.seed",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "n": "gen_ai.request.choice.count",
}
# Providers whose name in the conventions is not that of the model string.
_PROVIDERS = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}


class _Open(NamedTuple):
    """An open span, and the token that restores the context around it."""

    span: Span
    token: Token[Context]


class OpenTelemetry:
    """A listener that makes an OpenTelemetry span of each call of a program, an LM, a tool, ...

    Args:
        tracer_provider: Makes the spans; by default, the application's global one.
        capture_content: Whether spans hold prompts, answers, and error messages, which may quote them. Off by default.

    Spans hold model, sampling parameters, finish reasons, tokens and the type of an error. A call answered by a cache
    or a cassette is marked `dspex.cached` and has no tokens.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None, *, capture_content: bool = False) -> None:
        self._tracer = trace.get_tracer("dspex_core", version("pytest-dspex"), tracer_provider)
        self._capture_content = capture_content
        self._open: dict[str, _Open] = {}

    def __call__(self, event: Event) -> None:
        """Begin or end the span of an event."""
        if event.moment == "start":
            self._start(event)
        else:
            self._end(event)

    def _start(self, event: Event) -> None:
        name, attributes = _begun(event)
        kind = _SPAN_KINDS.get(event.kind, trace.SpanKind.INTERNAL)
        span = self._tracer.start_span(name, kind=kind, attributes=attributes)
        self._open[event.span_id] = _Open(span, context.attach(trace.set_span_in_context(span)))
        if self._capture_content and span.is_recording():
            span.set_attributes(_asked(event))

    def _end(self, event: Event) -> None:
        found = self._open.pop(event.span_id, None)
        if found is None:
            return
        context.detach(found.token)
        try:
            self._complete(found.span, event)
        finally:
            found.span.end()

    def _complete(self, span: Span, event: Event) -> None:
        learned = _ended(event)
        if learned:
            span.set_attributes(learned)
        error = event.attributes.get("error")
        if error is not None:
            self._fail(span, error)
        elif self._capture_content and span.is_recording():
            span.set_attributes(_answered(event))

    def _fail(self, span: Span, error: BaseException) -> None:
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        span.set_attribute("error.type", name)
        if self._capture_content:
            span.record_exception(error)
        span.set_status(trace.StatusCode.ERROR, masked(str(error)) if self._capture_content else None)


def _begun(event: Event) -> tuple[str, Attributes]:  # noqa: PLR0911  one return per kind of span
    """Return a span's name and its attributes at the start."""
    known = event.attributes
    instance: Any = known.get("instance")
    kind = type(instance).__name__
    match event.kind:
        case "lm":
            return _chat(instance.model, known["request"])
        case "predict":
            return f"{kind} {instance.signature.signature}", {}
        case "evaluate":
            return "evaluate", {"dspex.examples": len(known["inputs"]["devset"])}
        case "optimize":
            return f"optimize {kind}", {"dspex.examples": len(known["inputs"]["trainset"])}
        case "request":
            return f"{known['method']} {known['route']}", {
                "http.request.method": known["method"],
                "http.route": known["route"],
            }
        case operation if operation in _OPERATIONS:
            name = instance.name if operation == "tool" else kind
            verb, whose = _OPERATIONS[operation]
            return f"{verb} {name}", {"gen_ai.operation.name": verb, whose: name}
    return event.kind, _numbers(known)


def _chat(model: str, request: LMRequest) -> tuple[str, Attributes]:
    prefix, slash, rest = model.partition("/")
    name = rest if slash else model
    attributes: Attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _PROVIDERS.get(prefix, prefix) if slash else "custom",
        "gen_ai.request.model": name,
    }
    for key, value in request.config.items():
        if key in _SAMPLING and isinstance(value, int | float):
            attributes[_SAMPLING[key]] = value
    stop = request.config.get("stop")
    if stop:
        attributes["gen_ai.request.stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
    if request.response_schema is not None:
        attributes["gen_ai.output.type"] = "json"
    return f"chat {name}", attributes


def _ended(event: Event) -> Attributes:
    """Return the attributes that a span gets at its end."""
    known = event.attributes
    result: Any = known.get("result")
    match event.kind:
        case "lm" if result is not None:
            return _response(result)
        case "evaluate" if result is not None:
            score = {"gen_ai.evaluation.name": result.metric, "gen_ai.evaluation.score.value": result.mean}
            return {**score, "dspex.errors": len(result.errors)}
        case "optimize":
            return _numbers(known)
    return {} if "instance" in known else _numbers(known)


def _response(response: LMResponse) -> Attributes:
    attributes: Attributes = {
        "gen_ai.response.finish_reasons": [output.finish_reason or "" for output in response.outputs],
    }
    if response.model:
        attributes["gen_ai.response.model"] = response.model
    if response.cached:
        attributes["dspex.cached"] = True
    else:
        attributes["gen_ai.usage.input_tokens"] = response.usage.prompt_tokens
        attributes["gen_ai.usage.output_tokens"] = response.usage.completion_tokens
        if response.cost is not None:
            attributes["dspex.cost"] = response.cost
    return attributes


def _numbers(known: dict[str, Any]) -> Attributes:
    """Return the numeric attributes of a span of another kind; its texts may be content."""
    return {f"dspex.{name}": value for name, value in known.items() if isinstance(value, int | float)}


def _asked(event: Event) -> Attributes:
    """Return the inputs as JSON text."""
    known = event.attributes
    match event.kind:
        case "lm":
            asked = {"gen_ai.input.messages": _json([_message(turn) for turn in known["request"].messages])}
            tools = [tool.to_json() for tool in known["request"].tools]
            return {**asked, "gen_ai.tool.definitions": _json(tools)} if tools else asked
        case "tool":
            return {"gen_ai.tool.call.arguments": _json(without_secrets(known["inputs"]))}
        case "evaluate" | "optimize":  # whole data sets
            return {}
    return {"dspex.inputs": _json(without_secrets(known["inputs"]))} if "inputs" in known else {}


def _answered(event: Event) -> Attributes:
    """Return the outputs as JSON text."""
    result: Any = event.attributes.get("result")
    match event.kind:
        case "lm":
            return {"gen_ai.output.messages": _json([_output(output) for output in result.outputs])}
        case "tool":
            return {"gen_ai.tool.call.result": _json(result)}
        case "evaluate" | "optimize":
            return {}
    return {} if result is None else {"dspex.outputs": _json(result)}


def _message(message: Message) -> dict[str, Any]:
    if message.tool_call_id is not None:
        answer = {"type": "tool_call_response", "id": message.tool_call_id, "response": message.text}
        return {"role": message.role, "parts": [answer]}
    content = message.content
    parts = [
        {"type": "text" if isinstance(part, TextPart) else part.kind, "content": part.text}  # media by a short text
        for part in ([TextPart(content)] if isinstance(content, str) else content)
    ]
    return {"role": message.role, "parts": [*parts, *map(_call, message.tool_calls)]}


def _output(output: LMOutput) -> dict[str, Any]:
    texts = {"reasoning": output.reasoning, "text": output.text}
    parts = [{"type": kind, "content": text} for kind, text in texts.items() if text]
    return {
        "role": "assistant",
        "parts": [*parts, *map(_call, output.tool_calls)],
        "finish_reason": output.finish_reason or "",
    }


def _call(call: FunctionCall) -> dict[str, Any]:
    return {"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments}


def _json(value: Any) -> str:
    text = json.dumps(to_json(value.toDict() if isinstance(value, Record) else value), ensure_ascii=False)
    return text.encode(errors="replace").decode()  # half a surrogate pair would keep the whole batch from being sent
