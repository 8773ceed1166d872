"""Served programs as tools, with the protocol's own client, over its transports, and with our own client."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
import served_programs
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from starlette.testclient import TestClient

import dspex_core as dspy
from dspex_core import MCPTools
from dspex_core.serve.in_process import in_process
from dspex_core.serve.made import service_of
from dspex_core.serve.mcp import ERROR_KEY, mcp_server
from dspex_core.serve.routes import app_of

SUPPORT = Path(served_programs.__file__).parent


class Sort(dspy.Signature):
    """Sort a message."""

    text: str = dspy.InputField(desc="the message")
    urgent: bool = dspy.OutputField()
    tags: list[str] = dspy.OutputField()


def sorter():
    program = dspy.Predict(Sort)
    program.set_lm(dspy.ScriptedLM(lambda _: {"urgent": True, "tags": ["é", "b"]}))
    return program


def service(*programs, **options):
    return service_of([in_process(program) for program in programs], options=options)


def with_client(served, use):
    async def run():
        async with Client(mcp_server(served)) as client:
            return await use(client)

    return asyncio.run(run())


def test_a_program_is_listed_with_its_schemas_and_returns_structured_content():
    async def use(client):
        [tool] = (await client.list_tools()).tools
        return tool, await client.call_tool("sort", {"text": "Help!"})

    tool, result = with_client(service(sorter()), use)
    assert (tool.name, tool.description) == ("sort", "Sort a message.")
    assert tool.input_schema["properties"]["text"]["description"] == "the message"
    assert tool.output_schema["required"] == ["urgent", "tags"]
    assert result.structured_content == {"urgent": True, "tags": ["é", "b"]}
    assert json.loads(result.content[0].text) == result.structured_content


@pytest.mark.parametrize(
    ("arguments", "code"),
    [({"task": 3}, "invalid_input"), ({}, "invalid_input"), ({"task": "raise"}, "program_failed")],
)
def test_errors_are_errors_of_the_tool_without_the_words_of_the_program(arguments, code):
    async def use(client):
        return await client.call_tool("obedient", arguments)

    result = with_client(service(served_programs.obedient()), use)
    assert result.is_error
    assert result.content[0].text.startswith(f"{code}: ")
    assert result.meta[ERROR_KEY]["code"] == code
    assert "sk-" not in result.model_dump_json()


def test_an_unknown_tool_is_an_error_that_names_the_others():
    async def use(client):
        with pytest.raises(MCPError, match="there is no tool 'x'; there are: obedient, sort"):
            await client.call_tool("x", {})

    with_client(service(sorter(), served_programs.obedient()), use)


def test_a_client_that_cancels_cancels_the_program(tmp_path):
    async def use(client):
        call = asyncio.create_task(client.call_tool("obedient", {"task": "wait", "path": str(tmp_path / "call")}))
        while not (tmp_path / "call").exists():  # noqa: ASYNC110  the program makes it
            await asyncio.sleep(0.01)
        call.cancel()
        while not (tmp_path / "call.cancelled").exists():  # noqa: ASYNC110  as above
            await asyncio.sleep(0.01)

    with_client(service(served_programs.obedient()), use)


def test_our_own_client_and_agents_call_a_served_program():
    with MCPTools(mcp_server(service(sorter())), result_mode="structured") as tools:
        [tool] = tools
        assert tool(text="Help!") == {"urgent": True, "tags": ["é", "b"]}


def test_over_stdio_progress_is_the_text_while_it_is_written_and_prints_of_the_program_go_elsewhere(tmp_path):
    server = StdioServerParameters(
        command=sys.executable,
        args=[
            "-m",
            "dspex_core.serve",
            "--program",
            "printing_program:tell",
            "--name",
            "tell",
            "--mcp",
            "--workers",
            "0",
        ],
        env={"PYTHONPATH": str(SUPPORT)},
    )
    seen = []

    async def note(progress, total, message):
        seen.append((progress, message))

    async def run():
        with (tmp_path / "stderr").open("w") as log:
            async with Client(stdio_client(server, errlog=log)) as client:
                return await client.call_tool("tell", {"topic": "x"}, progress_callback=note)

    outputs = asyncio.run(run()).structured_content
    assert len(outputs["story"].split()) == 400
    assert "".join(message for _, message in seen) == outputs["story"]
    assert [count for count, _ in seen] == sorted({count for count, _ in seen})
    assert (tmp_path / "stderr").read_text() == "not a message\n"


def test_over_http_it_answers_beside_the_programs_and_asks_for_the_token():
    backend = in_process(sorter())
    served = service_of([backend], options={"token": "t0ken", "mcp": True})
    made = app_of(served)
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "sort", "arguments": {"text": "x"}}}
    accepts = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-06-18"}
    with TestClient(made, base_url="http://127.0.0.1") as client:
        assert client.post("/mcp", json=call, headers=accepts).status_code == 401
        answer = client.post("/mcp", json=call, headers={**accepts, "authorization": "Bearer t0ken"})
    [event] = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    assert event["result"]["structuredContent"] == {"urgent": True, "tags": ["é", "b"]}
