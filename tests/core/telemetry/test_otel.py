"""OpenTelemetry spans, as the SDK and a collector see them."""

import asyncio
import contextvars
import gzip
import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from dspex_core import (
    LM,
    AdapterParseError,
    BaseLM,
    Evaluate,
    Example,
    LabeledFewShot,
    LMOutput,
    LMResponse,
    LMServerError,
    Module,
    Predict,
    Prediction,
    ResponseCache,
    ScriptedLM,
    Usage,
    context,
    exact_match,
)
from dspex_core.flow.steps import adrive, drive
from dspex_core.flow.together import Together
from dspex_core.lm.engines.direct import DirectEngine
from dspex_core.messages import FunctionCall, LMRequest, MediaPart, Message
from dspex_core.telemetry.otel import OpenTelemetry
from dspex_core.telemetry.spans import span
from dspex_core.tools import Tool

SECRET = "the patient's name is Anna"


class Traced:
    """A tracer provider whose finished spans are kept."""

    def __init__(self, **options):
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(**options)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("the application")

    @property
    def spans(self):
        return self.exporter.get_finished_spans()

    def named(self, name):
        return [span for span in self.spans if span.name == name]

    def tree(self):
        """Return `{name: the parent's name}`; `None` for a root."""
        names = {span.context.span_id: span.name for span in self.spans}
        return {span.name: span.parent and names[span.parent.span_id] for span in self.spans}

    def listening(self, **options):
        return context(listeners=[OpenTelemetry(self.provider, **options)])


@pytest.fixture
def traced():
    traced = Traced()
    yield traced
    traced.provider.shutdown()


class Fixed(BaseLM):
    """Answers at once; its name is that of a provider's model."""

    recordable = False

    def __init__(self, model="mistral/large", **config):
        super().__init__(model, **config)

    def complete(self, request):
        outputs = (LMOutput("[[ ## answer ## ]]\nyes", "stop"),)
        return LMResponse(outputs, model="large-2407", usage=Usage(12, 3), cost=0.5)


class Nested(Module):
    def __init__(self):
        self.predict = Predict("question -> answer")

    def forward(self, question):
        return self.predict(question=question)


def test_the_spans_of_a_call_nest_and_follow_the_conventions(traced):
    with traced.listening(), context(lm=Fixed(temperature=0.5, max_tokens=100, stop="END", top_k=None)):
        Nested()(question="q")

    assert traced.tree() == {
        "invoke_workflow Nested": None,
        "Predict question -> answer": "invoke_workflow Nested",
        "chat large": "Predict question -> answer",
    }
    [chat], [workflow] = traced.named("chat large"), traced.named("invoke_workflow Nested")
    assert dict(chat.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "mistral_ai",
        "gen_ai.request.model": "large",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.response.model": "large-2407",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "dspex.cost": 0.5,
    }
    assert (chat.kind, workflow.kind) == (SpanKind.CLIENT, SpanKind.INTERNAL)
    assert dict(workflow.attributes) == {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "Nested"}
    assert chat.instrumentation_scope.name == "dspex_core"


def test_a_schema_is_told_as_the_kind_of_output(traced):
    lm = ScriptedLM([{"answer": "a"}], adapter="json", model="tiny")
    with traced.listening(), context(lm=lm):
        Predict("question -> answer")(question="q")
    [chat] = traced.named("chat tiny")
    assert chat.attributes["gen_ai.output.type"] == "json"
    assert chat.attributes["gen_ai.provider.name"] == "custom"


def test_an_answer_from_the_cache_is_marked_and_has_taken_no_tokens(traced, monkeypatch):
    monkeypatch.setattr(DirectEngine, "complete", lambda self, request, timeout: Fixed().complete(request))
    lm = LM("openai/x", api_base="http://127.0.0.1:1/v1", api_key="k")
    with traced.listening(), context(cache=ResponseCache(), recorder=None, replay_only=False):
        lm("hello")
        lm("hello")
    asked, cached = traced.named("chat x")
    assert ("dspex.cached" in asked.attributes, cached.attributes["dspex.cached"]) == (False, True)
    assert "gen_ai.usage.input_tokens" in asked.attributes
    assert "gen_ai.usage.input_tokens" not in cached.attributes


def test_spans_are_children_of_the_applications_own_and_parents_of_those_inside(traced):
    def look_up(question):
        with traced.tracer.start_as_current_span("SELECT"):
            return question

    class Lookup(Module):
        def forward(self, question):
            return look_up(question)

    with traced.listening(), traced.tracer.start_as_current_span("GET /answer"):
        Lookup()(question="q")
        assert trace.get_current_span().name == "GET /answer"

    assert traced.tree() == {
        "GET /answer": None,
        "invoke_workflow Lookup": "GET /answer",
        "SELECT": "invoke_workflow Lookup",
    }
    assert trace.get_current_span() is trace.INVALID_SPAN


def ancestry(traced):
    """Return, for each chat span, its name and those of the spans around it."""
    by_id = {span.context.span_id: span for span in traced.spans}

    def names(span):
        return [span.name, *(names(by_id[span.parent.span_id]) if span.parent else [])]

    return [names(span) for span in traced.spans if span.name.startswith("chat")]


async def in_tasks(flows):
    await asyncio.gather(*map(adrive, flows))


def in_threads(flows):
    threads = [threading.Thread(target=contextvars.copy_context().run, args=(drive, flow)) for flow in flows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def together(flows):
    yield Together(iter(flows), 2)


@pytest.mark.parametrize(
    "run",
    [
        lambda flows: asyncio.run(in_tasks(flows)),
        in_threads,
        lambda flows: drive(together(flows)),
        lambda flows: asyncio.run(adrive(together(flows))),
    ],
    ids=["tasks", "threads", "together in threads", "together in tasks"],
)
def test_interleaved_runs_nest_each_in_its_own(traced, run):
    both_have_asked = threading.Barrier(2)

    class Meeting(Fixed):
        def complete(self, request):
            both_have_asked.wait(10)
            return super().complete(request)

    def named(number):
        with span(f"run{number}", {}):
            yield from Module.steps(Nested(), question="q")

    with traced.listening(), context(lm=Meeting()), traced.tracer.start_as_current_span("all"):
        run([named(1), named(2)])

    inside = ["chat large", "Predict question -> answer", "invoke_workflow Nested"]
    assert sorted(ancestry(traced)) == [[*inside, "run1", "all"], [*inside, "run2", "all"]]


def test_an_evaluations_calls_are_its_children_in_whichever_thread(traced):
    devset = [Example(question=str(n), answer=str(n)).with_inputs("question") for n in range(6)]
    lm = ScriptedLM(lambda request: {"answer": "3"})
    evaluate = Evaluate(devset=devset, metric=exact_match("answer"), num_threads=3)
    with traced.listening(), context(lm=lm):
        evaluate(Predict("question -> answer"))
        asyncio.run(evaluate.acall(Predict("question -> answer")))
    assert [path[-1] for path in ancestry(traced)] == ["evaluate"] * 12
    for ended in traced.named("evaluate"):
        assert dict(ended.attributes) == {
            "dspex.examples": 6,
            "dspex.errors": 0,
            "gen_ai.evaluation.name": "exact_match",
            "gen_ai.evaluation.score.value": pytest.approx(1 / 6),
        }


class Search:
    name = "search"


@pytest.mark.parametrize(
    ("kind", "attributes", "name", "told"),
    [
        ("tool", {"instance": Search(), "inputs": {}}, "execute_tool search", {"gen_ai.tool.name": "search"}),
        ("agent", {"instance": Nested(), "inputs": {}}, "invoke_agent Nested", {"gen_ai.agent.name": "Nested"}),
        ("retrieve", {"instance": Search(), "inputs": {}}, "retrieval Search", {"dspex.retriever": "Search"}),
        ("interpreter", {"instance": Search(), "inputs": {}}, "interpreter", {}),
        ("candidate", {"number": 3, "program": Nested(), "text": SECRET}, "candidate", {"dspex.number": 3}),
    ],
)
def test_other_components_have_spans_too(traced, kind, attributes, name, told):
    with traced.listening(), span(kind, attributes):
        pass
    [found] = traced.named(name)
    assert {key: value for key, value in found.attributes.items() if key != "gen_ai.operation.name"} == told


def test_a_span_of_ones_own_keeps_the_numbers_that_it_learns(traced):
    with traced.listening(), span("candidate", {"number": 1}) as attributes:
        attributes["score"] = 0.5
    assert dict(traced.spans[0].attributes) == {"dspex.number": 1, "dspex.score": 0.5}


def test_a_compilation_is_a_span(traced):
    trainset = [Example(question="q", answer="a").with_inputs("question")]
    with traced.listening(capture_content=True):
        LabeledFewShot(k=1).compile(Predict("question -> answer"), trainset=trainset)
    [compiled] = traced.named("optimize LabeledFewShot")
    assert dict(compiled.attributes) == {"dspex.examples": 1, "dspex.examples_used": 1, "dspex.trials": 0}


def everything(traced):
    """Return all that was exported, as text."""
    return " ".join(span.to_json() for span in traced.spans)


def test_contents_are_left_out_by_default(traced):
    with traced.listening(), context(lm=ScriptedLM([{"answer": SECRET}, SECRET, SECRET])):
        Nested()(question=SECRET)
        with pytest.raises(AdapterParseError, match="Anna"):
            Nested()(question="q")
        with pytest.raises(ValueError, match="Anna"), span("tool", {"instance": Search(), "inputs": {"q": SECRET}}):
            raise ValueError(SECRET)
    assert "Anna" not in everything(traced)


def test_an_error_is_told_by_its_type(traced):
    lm = ScriptedLM([LMServerError("overloaded", model="m"), KeyError("x")])
    with traced.listening(), context(lm=lm):
        for error in (LMServerError, KeyError):
            with pytest.raises(error):
                Predict("question -> answer")(question="q")
    types = [span.attributes["error.type"] for span in traced.spans]
    assert types == ["dspex_core.errors.LMServerError"] * 2 + ["KeyError"] * 2
    assert {(span.status.status_code, span.status.description) for span in traced.spans} == {(StatusCode.ERROR, None)}


def test_contents_are_kept_on_demand(traced):
    with traced.listening(capture_content=True), context(lm=Fixed()):
        Nested()(question="why?")
    [chat], [workflow] = traced.named("chat large"), traced.named("invoke_workflow Nested")
    system, user = json.loads(chat.attributes["gen_ai.input.messages"])
    assert (system["role"], user["role"], user["parts"][0]["type"]) == ("system", "user", "text")
    assert "why?" in user["parts"][0]["content"]
    [output] = json.loads(chat.attributes["gen_ai.output.messages"])
    assert (output["role"], output["finish_reason"]) == ("assistant", "stop")
    assert output["parts"] == [{"type": "text", "content": "[[ ## answer ## ]]\nyes"}]
    assert json.loads(workflow.attributes["dspex.inputs"]) == {"question": "why?"}
    assert json.loads(workflow.attributes["dspex.outputs"]) == {"answer": "yes"}


def test_calls_of_functions_and_media_are_content_in_the_conventions_form(traced):
    call = FunctionCall("search", '{"query": "x"}', id="c1")
    asked = LMRequest(
        (
            Message("user", (MediaPart("image_url", {"url": "data:image/png;base64," + "iVBORw0KGgoA" * 99}),)),
            Message("assistant", "", tool_calls=(call,)),
            Message("tool", "nothing found", tool_call_id="c1"),
        )
    )

    class Calling(Fixed):
        def complete(self, request):
            return LMResponse((LMOutput("", None, reasoning="hm", tool_calls=(call,)),))

    with traced.listening(capture_content=True):
        Calling().request(asked)

    [chat] = traced.spans
    image, assistant, tool = json.loads(chat.attributes["gen_ai.input.messages"])
    told = {"type": "tool_call", "id": "c1", "name": "search", "arguments": '{"query": "x"}'}
    assert image["parts"][0]["type"] == "image_url"
    assert len(image["parts"][0]["content"]) < 200
    assert assistant["parts"] == [{"type": "text", "content": ""}, told]
    assert tool == {
        "role": "tool",
        "parts": [{"type": "tool_call_response", "id": "c1", "response": "nothing found"}],
    }
    [output] = json.loads(chat.attributes["gen_ai.output.messages"])
    assert output["parts"] == [{"type": "reasoning", "content": "hm"}, told]


def test_a_tools_arguments_and_result_are_content(traced):
    with traced.listening(capture_content=True):
        with span("tool", {"instance": Search(), "inputs": {"query": "x"}}) as attributes:
            attributes["result"] = Prediction(found=["ä"])
        with pytest.raises(ValueError, match="broken"), span("tool", {"instance": Search(), "inputs": {}}):
            raise ValueError("broken")
    good, bad = traced.spans
    assert json.loads(good.attributes["gen_ai.tool.call.arguments"]) == {"query": "x"}
    assert json.loads(good.attributes["gen_ai.tool.call.result"]) == {"found": ["ä"]}
    assert bad.status.description == "broken"
    assert bad.events[0].attributes["exception.message"] == "broken"


def test_content_that_is_no_json_does_not_lose_the_span(traced, caplog):
    endless = []
    endless.append(endless)
    with traced.listening(capture_content=True), span("tool", {"instance": Search(), "inputs": {"x": endless}}) as told:
        told["result"] = endless
    assert [found.name for found in traced.spans] == ["execute_tool search"]
    assert "execute_tool" not in caplog.text
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_a_run_that_is_not_sampled_has_no_spans():
    traced = Traced(sampler=ALWAYS_OFF)
    with traced.listening(capture_content=True), context(lm=Fixed()):
        assert Nested()(question="q").answer == "yes"
    assert traced.spans == ()


def test_what_ends_without_having_begun_is_passed_over(traced):
    """A listener that is added in the middle of a run sees ends without starts."""
    listener = OpenTelemetry(traced.provider)
    started = []
    with context(listeners=[started.append]), span("tool", {"instance": Search()}):
        pass
    listener(started[1])
    assert traced.spans == ()


class Collector:
    """An OTLP collector: takes spans over HTTP, as protobuf, and decodes them."""

    def __init__(self):
        self.requests = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.requests.append((self.path, self.headers["Content-Type"], body))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/traces"

    def exports(self):
        return [ExportTraceServiceRequest.FromString(body) for _, _, body in self.requests]

    @contextmanager
    def running(self):
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


def plain(attributes):
    """Return decoded attributes as a dict."""

    def value(any_value):
        kind = any_value.WhichOneof("value")
        found = getattr(any_value, kind)
        return [value(item) for item in found.values] if kind == "array_value" else found

    return {attribute.key: value(attribute.value) for attribute in attributes}


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_collector_gets_the_spans_over_otlp(compression, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    with Collector().running() as collector:
        provider = TracerProvider(resource=Resource.create({"service.name": "the shop"}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=collector.url)))
        with context(listeners=[OpenTelemetry(provider, capture_content=True)], lm=Fixed()):
            Nested()(question="half a \ud83d")
            with pytest.raises(KeyError), span("tool", {"instance": Search(), "inputs": {}}):
                raise KeyError("x")
        provider.shutdown()

    assert {(path, kind) for path, kind, _ in collector.requests} == {("/v1/traces", "application/x-protobuf")}
    [resource] = [resource for export in collector.exports() for resource in export.resource_spans]
    assert plain(resource.resource.attributes)["service.name"] == "the shop"
    [scope] = resource.scope_spans
    assert scope.scope.name == "dspex_core"
    spans = {found.name: found for found in scope.spans}
    assert set(spans) == {"invoke_workflow Nested", "Predict question -> answer", "chat large", "execute_tool search"}
    chat, predict, workflow = spans["chat large"], spans["Predict question -> answer"], spans["invoke_workflow Nested"]
    assert chat.trace_id == predict.trace_id == workflow.trace_id != spans["execute_tool search"].trace_id
    assert (chat.parent_span_id, predict.parent_span_id) == (predict.span_id, workflow.span_id)
    assert plain(chat.attributes)["gen_ai.usage.output_tokens"] == 3
    assert plain(workflow.attributes)["dspex.inputs"] == '{"question": "half a ?"}'
    assert plain(chat.attributes)["gen_ai.response.finish_reasons"] == ["stop"]
    assert workflow.start_time_unix_nano <= chat.start_time_unix_nano <= chat.end_time_unix_nano
    assert plain(spans["execute_tool search"].attributes)["error.type"] == "KeyError"


def test_nothing_of_it_is_imported_unless_asked_for_and_nothing_is_printed():
    code = """
import sys
import dspex_core
with dspex_core.context(lm=dspex_core.ScriptedLM([{"answer": "a"}])):
    dspex_core.Predict("question -> answer")(question="q")
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_the_package_the_import_says_what_to_install():
    code = "import sys; sys.modules['opentelemetry'] = None; import dspex_core.telemetry.otel"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'pip install "pytest-dspex[otel]"' in done.stderr


def test_what_a_tool_opens_is_inside_the_tools_span_however_it_is_called(traced):
    def look_up(query: str) -> str:
        with traced.tracer.start_as_current_span("SELECT"):
            return query

    async def fetch(query: str) -> str:
        with traced.tracer.start_as_current_span("GET"):
            return query

    sync, awaited = Tool(look_up), Tool(fetch)
    with traced.listening():
        sync(query="1")
        asyncio.run(sync.acall(query="2"))  # in a thread
        awaited(query="3")  # in an event loop of its own
        asyncio.run(awaited.acall(query="4"))

    parents = {found.context.span_id: found.name for found in traced.spans}
    inside = [(found.name, parents[found.parent.span_id]) for found in traced.spans if found.parent]
    assert inside == [("SELECT", "execute_tool look_up")] * 2 + [("GET", "execute_tool fetch")] * 2
