"""Programs over HTTP: a real client and a real server on a free port."""

import asyncio
import json
import logging
import socket
import threading
from contextlib import suppress
from typing import Literal

import jsonschema
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi")  # of the extra `serve`

import fastapi
import httpx
from http_programs import QA, answers
from http_service import running

import dspex_core as dspy
from dspex_core.errors import BadInputError, ConfigurationError, LMNotConfiguredError, ServiceError
from dspex_core.serve import app, serve
from dspex_core.serve.bodies import json_object
from dspex_core.serve.events import Pieces
from dspex_core.serve.in_process import Limits
from dspex_core.serve.interface import Piece
from dspex_core.serve.made import service_of

JSON = {"content-type": "application/json"}
SECRET = "sk-0123456789abcdef"


class Node(pydantic.BaseModel):
    value: int
    children: list["Node"] = []


class Gate:
    """Holds calls until it is opened, and notes those that were cancelled."""

    def __init__(self):
        self.begun = threading.Semaphore(0)
        self.opened = threading.Event()
        self.cancelled = threading.Event()

    async def wait(self):
        self.begun.release()
        try:
            while not self.opened.is_set():  # noqa: ASYNC110  it is set in another thread
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


class Acting(dspy.Module):
    """Does what its input says."""

    def __init__(self):
        super().__init__()
        self.answer = dspy.Predict(QA)
        self.gate = Gate()

    async def aforward(self, act: Literal["answer", "twice", "fail", "wait"], text: str = ""):
        if act == "fail":
            raise ValueError(f"{text} {SECRET}")
        if act == "wait":
            await self.gate.wait()
        if act == "twice":
            await self.answer.acall(question=f"{text} first")
        return await self.answer.acall(question=text)


@pytest.fixture(scope="module")
def service():
    with running(Acting(), dspy.Predict(QA), lm=answers(), max_body=2000, limits=Limits(calls=1)) as found:
        yield found


@pytest.fixture
def client(service):
    with service.client() as found:
        yield found


def problem(response):
    """The code of an error; each has the same form."""
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "details", "request_id"}
    assert body["error"]["request_id"] == response.headers["x-request-id"]
    return response.status_code, body["error"]["code"]


def events(response):
    """The events of a stream."""
    found = []
    for block in response.text.strip().split("\n\n"):
        if not block.startswith(":"):
            kind, data = block.split("\n")
            found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_inputs_are_answered_with_the_outputs(client):
    response = client.post("/programs/qa", json={"question": "capital of France?"})
    assert (response.status_code, response.json()) == (200, {"answer": "Paris"})
    assert response.headers["x-request-id"]

    named = client.post("/programs/qa", json={"question": "?"}, headers={"x-request-id": "mine-1"})
    assert named.headers["x-request-id"] == "mine-1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b'{"question": NaN}',
        b'{"question": -Infinity}',
        b'{"question": 1e999}',
        b'{"question": "a", "question": "b"}',
        b'{"question": {"a": 1, "a": 2}}',
        b'{"question": "\xff"}',
        b'{"question": "\\ud800"}',
        b"\xef\xbb\xbf{}",
        b'{"question": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"question": "a"} {}',
        b'{"question": "a", "extra": 1}',
        b'{"question": null}',
        b"{}",
    ],
)
def test_a_body_that_is_not_what_the_program_takes_is_one_error_with_its_faults(client, body):
    for path in ("/programs/qa", "/programs/qa/stream"):
        response = client.post(path, content=body, headers=JSON)
        assert problem(response) == (422, "invalid_input")
        assert response.json()["error"]["details"]["faults"]


@pytest.mark.parametrize(
    ("method", "path", "options", "expected"),
    [
        ("GET", "/nothing", {}, (404, "not_found")),
        ("POST", "/programs/nobody", {"json": {}}, (404, "not_found")),
        ("GET", "/programs/qa", {}, (405, "method_not_allowed")),
        ("DELETE", "/health", {}, (405, "method_not_allowed")),
        (
            "POST",
            "/programs/qa",
            {"content": "{}", "headers": {"content-type": "text/plain"}},
            (415, "unsupported_media_type"),
        ),
        ("POST", "/programs/qa", {"content": "{}"}, (415, "unsupported_media_type")),
        (
            "POST",
            "/programs/qa",
            {"content": "{}", "headers": {**JSON, "content-encoding": "gzip"}},
            (415, "unsupported_media_type"),
        ),
        ("POST", "/programs/qa", {"json": {"question": "x" * 3000}}, (413, "too_large")),
        ("GET", "/health", {"headers": {"host": "evil.example"}}, (421, "wrong_host")),
        (
            "POST",
            "/programs/qa",
            {"json": {"question": "?"}, "headers": {"host": "127.0.0.1.evil.example"}},
            (421, "wrong_host"),
        ),
        ("POST", "/programs/acting", {"json": {"act": "twice"}}, (429, "over_budget")),
        ("POST", "/programs/acting/stream", {"json": {"act": "fail"}}, (500, "program_failed")),
    ],
)
def test_every_refusal_is_a_structured_error(client, method, path, options, expected):
    response = client.request(method, path, **options)
    assert problem(response) == expected
    assert ("allow" in response.headers) is (expected[0] == 405)


def test_a_body_without_a_length_is_limited_while_it_is_read(client):
    def parts():
        yield b'{"question": "'
        for _ in range(3):
            yield b"x" * 1000

    response = client.post("/programs/qa", content=parts(), headers=JSON)
    assert problem(response) == (413, "too_large")


def test_an_error_of_the_program_says_its_type_alone(client, caplog):
    with caplog.at_level(logging.INFO, "dspex.serve"):
        response = client.post("/programs/acting", json={"act": "fail", "text": "private words"})
        while not (lines := [record for record in caplog.records if vars(record).get("dspex")]):
            pass  # the line is written when the response has been sent

    assert problem(response) == (500, "program_failed")
    assert response.json()["error"]["details"] == {"type": "ValueError"}
    written = response.text + caplog.text
    assert "private words" not in written
    assert SECRET not in written
    assert "Traceback" not in written
    assert "test_http.py" in caplog.text  # the operator learns where
    assert {"program": "acting", "status": 500, "code": "program_failed"}.items() <= vars(lines[0])["dspex"].items()


def test_a_stream_has_the_pieces_of_outputs_and_ends_with_the_outputs(client):
    response = client.post("/programs/qa/stream", json={"question": "?"})

    found = events(response)
    assert response.headers["content-type"].startswith("text/event-stream")
    pieces = [data for kind, data in found if kind == "piece"]
    assert {piece["field"] for piece in pieces} == {"answer"}
    assert "".join(piece["delta"] for piece in pieces) == "Paris"
    assert found[-1] == ("outputs", {"answer": "Paris"})


def test_a_stream_that_has_begun_ends_with_the_error(client):
    found = events(client.post("/programs/acting/stream", json={"act": "twice"}))
    assert found[0][0] == "piece"
    kind, data = found[-1]
    assert (kind, data["error"]["code"]) == ("error", "over_budget")


def test_metrics_count_requests_by_program_and_code(client):
    client.post("/programs/acting", json={"act": "fail"})
    text = client.get("/metrics").text
    assert 'dspex_requests_total{code="program_failed",program="acting",status="500"}' in text
    assert 'dspex_call_seconds_bucket{le="0.005",program="acting"}' in text
    assert 'dspex_calls_running{program="acting"} 0.0' in text


def test_the_openapi_document_has_the_types_of_requests_and_responses(client):
    document = client.get("/openapi.json").json()

    operation = document["paths"]["/programs/acting"]["post"]
    assert operation["description"] == "Does what its input says."
    named = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    schema = document["components"]["schemas"][named]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["act"]["enum"] == ["answer", "twice", "fail", "wait"]
    assert schema["required"] == ["act"]
    assert set(operation["responses"]) >= {"200", "413", "415", "422", "429", "500", "503", "504"}
    listed = client.get("/programs").json()["programs"]
    assert [one["name"] for one in listed] == ["acting", "qa"]


def test_every_reference_of_the_document_leads_somewhere():
    task = dspy.Signature({"tree": (Node, dspy.InputField()), "found": (list[Node], dspy.OutputField())})
    made = app(dspy.Predict(task))
    document = made.openapi()

    def references(part):
        if isinstance(part, dict):
            yield from ([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
            for inner in part.values():
                yield from references(inner)
        if isinstance(part, list):
            for inner in part:
                yield from references(inner)

    found = set(references(document))
    assert len(found) >= 4
    assert {place.rpartition("/")[2] for place in found} <= set(document["components"]["schemas"])


def test_a_client_that_leaves_cancels_the_call_and_a_full_service_refuses_at_once():
    program = Acting()
    with running(program, lm=answers(), concurrency=1) as service, service.client() as client:
        body = b'{"act": "wait"}'
        head = b"POST /programs/acting%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        head += b"Content-Length: 15\r\n\r\n"
        for suffix in (b"", b"/stream"):
            program.gate.cancelled.clear()
            with socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2]))) as gone:
                gone.sendall(head % suffix + body)
                assert program.gate.begun.acquire(timeout=60)
                busy = client.post("/programs/acting", json={"act": "answer"})
                assert problem(busy) == (503, "busy")
                assert int(busy.headers["retry-after"]) >= 1
            assert program.gate.cancelled.wait(60)


def test_a_call_that_takes_too_long_is_stopped():
    program = Acting()
    with running(program, lm=answers(), timeout=0.05) as service, service.client() as client:
        assert problem(client.post("/programs/acting", json={"act": "wait"})) == (504, "timed_out")
        assert program.gate.cancelled.wait(60)


def test_the_end_answers_calls_under_way_and_refuses_new_ones():
    program = Acting()
    with running(program, lm=answers()) as service, service.client() as client, service.client() as other:
        assert other.get("/ready").json() == {"status": "ready"}
        answered = []
        caller = threading.Thread(target=lambda: answered.append(client.post("/programs/acting", json={"act": "wait"})))
        caller.start()
        assert program.gate.begun.acquire(timeout=60)

        service.begin_end()
        while other.get("/ready").status_code == 200:
            pass
        assert other.get("/ready").json() == {"status": "draining"}
        assert other.get("/health").status_code == 200
        refused = other.post("/programs/acting", json={"act": "answer"})
        assert problem(refused) == (503, "shutting_down")
        assert "retry-after" in refused.headers

        program.gate.opened.set()
        caller.join(60)
        assert answered[0].json() == {"answer": "Paris"}
        service.join()


def test_a_token_is_asked_of_all_but_probes_and_appears_nowhere(caplog):
    with (
        caplog.at_level(logging.DEBUG),
        running(dspy.Predict(QA), lm=answers(), token=SECRET) as service,
        service.client() as client,
    ):
        for headers in (
            {},
            {"authorization": "Bearer no"},
            {"authorization": f"Basic {SECRET}"},
            {"authorization": SECRET},
        ):
            for method, path in (
                ("POST", "/programs/qa"),
                ("GET", "/metrics"),
                ("GET", "/openapi.json"),
                ("GET", "/x"),
            ):
                response = client.request(method, path, headers=headers)
                assert problem(response) == (401, "unauthorized")
                assert response.headers["www-authenticate"] == "Bearer"
        assert client.get("/health").status_code == 200
        assert client.get("/ready").status_code == 200

        known = {"authorization": f"Bearer {SECRET}"}
        assert client.post("/programs/qa", json={"question": "?"}, headers=known).status_code == 200
        assert "securitySchemes" in client.get("/openapi.json", headers=known).json()["components"]
        assert SECRET not in client.get("/metrics", headers=known).text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"host": "0.0.0.0"}, "can be reached from other machines"),
        ({"host": "::"}, "can be reached from other machines"),
        ({"token": " "}, "token of a service must be"),
        ({"timeout": 0}, "`timeout` of a service"),
        ({"timeout": float("nan")}, "`timeout` of a service"),
        ({"timeout": "20"}, "`timeout` of a service"),
        ({"concurrency": 0}, "`concurrency` of a service"),
        ({"concurrency": 1.5}, "`concurrency` of a service"),
        ({"max_body": None}, "`max_body` of a service"),
        ({"token": b"bytes"}, "token of a service must be"),
        ({"token": " padded"}, "token of a service must be"),
        ({"hosts": "example.com"}, "`hosts` of a service"),
        ({"limits": {"calls": 1}}, "must be `Limits"),
        ({"lm": "openai/gpt-4o-mini"}, "the setting 'lm'"),
        ({"host": "a" * 300, "token": "t0ken"}, "cannot listen"),
        ({"nonsense": 1}, "a service has no 'nonsense'"),
        ({"mcp": "yes"}, "`mcp` of a service must be True or False"),
        ({"lm": 3}, "the setting 'lm' must be an object"),
        ({"port": None}, "the port must be a whole number"),
        ({"port": "80"}, "the port must be a whole number"),
        ({"port": 70_000}, "the port must be at most 65535"),
        ({"port": -1}, "the port must be at least 0"),
        ({"host": 127, "token": "t0ken"}, "the host must be a name"),
        ({"host": "no such host"}, "can be reached|cannot listen"),
    ],
)
def test_options_that_cannot_work_are_refused_before_anything_is_served(options, message):
    with pytest.raises(ConfigurationError, match=message):
        serve(dspy.Predict(QA), **options)


@pytest.mark.parametrize("name", ["unknown", None, [], 3])
def test_a_call_of_a_program_that_is_not_served_names_those_that_are(name):
    service = service_of([dspy.Predict(QA)], options={})
    with pytest.raises(ServiceError, match=r"there is no program .*; there are: 'qa'"):
        asyncio.run(service.call(name, {}))


@pytest.mark.parametrize("limit", [{"calls": 1.5}, {"tokens": 0.5}, {"usd": "1"}, {"calls": True}])
def test_limits_that_cannot_be_are_refused(limit):
    with pytest.raises(ConfigurationError, match="a budget needs a limit"):
        Limits(**limit)


class Chooses(dspy.Module):
    """Sets its model itself."""

    def __init__(self):
        super().__init__()
        self.ask = dspy.Predict(QA)

    def forward(self, question: str):
        with dspy.context(lm=dspy.ScriptedLM([{"answer": "mine"}])):
            return self.ask(question=question)


class Asks(Chooses):
    """Leaves its model to the settings."""

    def forward(self, question: str):
        return self.ask(question=question)


@pytest.mark.parametrize("program", [dspy.Predict(QA), Asks()])
def test_a_program_without_the_model_that_it_needs_does_not_start(program):
    with pytest.raises(LMNotConfiguredError, match=r"needs a model, and none is set: .*--lm"):
        serve(program, port=0)
    service = service_of([program], options={})  # mounted: it starts with its first call, whose caller learns the kind
    with pytest.raises(ServiceError, match="raised LMNotConfiguredError"):
        asyncio.run(service.call(next(iter(service)).program.name, {"question": "?"}))


def test_a_program_that_has_or_chooses_or_needs_no_model_starts():
    class Echo(dspy.Module):
        def forward(self, question: str):
            return {"answer": question}

    own = dspy.Predict(QA)
    own.set_lm(dspy.ScriptedLM([{"answer": "own"}]))
    for program, expected in ((Echo(), "?"), (Chooses(), "mine"), (own, "own")):
        service = service_of([program], options={})
        answer = asyncio.run(service.call(next(iter(service)).program.name, {"question": "?"}))
        assert answer == {"answer": expected}


def test_programs_of_one_name_and_no_program_are_refused():
    with pytest.raises(ConfigurationError, match="the same name"):
        app(dspy.Predict(QA), dspy.Predict(QA))
    with pytest.raises(ConfigurationError, match="needs a program"):
        app()
    with pytest.raises(ConfigurationError, match="only programs can be served"):
        app(len)


def test_spans_of_a_request_belong_to_the_trace_in_its_headers():
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from dspex_core.telemetry.otel import OpenTelemetry

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with (
        dspy.context(listeners=[OpenTelemetry(provider)]),
        running(dspy.Predict(QA), lm=answers()) as service,
        service.client() as client,
    ):
        client.post("/programs/qa", json={"question": "?"}, headers={"traceparent": f"00-{trace}-{parent}-01"})

    spans = {one.name: one for one in exporter.get_finished_spans()}
    request = spans["POST /programs/qa"]
    assert request.parent.span_id == int(parent, 16)
    assert {one.context.trace_id for one in spans.values()} == {int(trace, 16)}
    assert any(name.startswith("chat ") for name in spans)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_app_that_is_mounted_in_another_one_answers_and_is_guarded():
    outer = fastapi.FastAPI()
    outer.mount("/ai", app(dspy.Predict(QA), lm=answers(), token=SECRET))
    known = {"authorization": f"Bearer {SECRET}"}
    transport = httpx.ASGITransport(outer)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get("/ai/health")).status_code == 200
        assert (await client.post("/ai/programs/qa", json={"question": "?"})).status_code == 401
        answer = await client.post("/ai/programs/qa", json={"question": "?"}, headers=known)
        assert answer.json() == {"answer": "Paris"}
        assert (await client.get("/ai/ready")).status_code == 200


class Chatty(dspy.Module):
    """Writes so many letters that no buffer of a connection holds them."""

    def __init__(self):
        super().__init__()
        self.answer = dspy.Predict(QA)

    async def aforward(self, question: str):
        return await self.answer.acall(question=question)


def test_a_client_that_does_not_read_holds_nobody_up():
    letters = "x" * 6_000_000
    with running(Chatty(), lm=answers(letters), concurrency=1) as service, service.client() as client:
        port = int(service.url.rpartition(":")[2])
        with socket.socket() as idle:
            idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            idle.connect(("127.0.0.1", port))
            idle.sendall(
                b"POST /programs/chatty/stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b'Content-Length: 17\r\n\r\n{"question": "?"}'
            )
            assert idle.recv(1)  # it has begun to answer
            response = client.post("/programs/chatty", json={"question": "?"})
            while response.status_code == 503:
                response = client.post("/programs/chatty", json={"question": "?"})
            assert len(response.json()["answer"]) == len(letters)


def test_pieces_that_wait_for_a_slow_client_grow_together():
    async def waiting():
        pieces = Pieces()
        for number in range(1000):
            pieces.add(Piece("p", "answer", "x", is_last=number == 999))
        pieces.add(Piece("p", "answer", "again"))
        return await pieces.next(1)

    first, second = asyncio.run(waiting())
    assert first == {"predictor": "p", "field": "answer", "delta": "x" * 1000, "last": True}
    assert second["delta"] == "again"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=40)
@given(st.dictionaries(st.text(), JSON_VALUES))
def test_each_json_object_is_read_as_it_is(value):
    assert json_object(json.dumps(value).encode()) == value


@settings(max_examples=40)
@given(st.binary() | st.text().map(str.encode) | JSON_VALUES.map(lambda value: json.dumps(value).encode()[:-1]))
def test_any_bytes_are_an_object_or_one_error(body):
    with suppress(BadInputError):
        assert isinstance(json_object(body), dict)
