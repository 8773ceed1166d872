"""Tools of real MCP servers, over stdio and HTTP, which may die in the middle."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import CallToolResult, TextContent
from mcp.types import Tool as MCPTool

import dspex_core as dspy
from dspex_core import MCPTools, Tool, ToolExecutionError, ToolServerError
from dspex_core.errors import ConfigurationError
from dspex_core.flow.steps import adrive, drive

SERVER = str(Path(__file__).parents[2] / "support" / "mcp_server.py")
STDIO = StdioServerParameters(command=sys.executable, args=[SERVER])


@pytest.fixture(params=["stdio", "http"])
def server(request):
    """Yield what to connect to; the connection starts a stdio server, the test an HTTP one."""
    if request.param == "stdio":
        yield STDIO
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, SERVER, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
        process.kill()


def by_name(tools):
    return {tool.name: tool for tool in tools}


def failure(tool, **args):
    """Return how a call as a step fails, in both manners."""

    def flow():
        try:
            return (yield from tool.steps(args))
        except ToolExecutionError as error:
            return error

    return drive(flow()), asyncio.run(adrive(flow()))


def is_gone(pid):
    """Whether a process ends within some seconds."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_tools_are_listed_and_called(server):
    with MCPTools(server) as listed:
        tools = by_name(listed)

        assert str(tools["add"]) == "add: Add two numbers. Arguments: a (int); b (int, 2 by default)"
        assert tools["order"].spec().parameters["required"] == ["item"]
        assert "$ref" not in str(tools["order"].args)
        assert tools["add"](a="1") == "3"
        assert asyncio.run(tools["add"].acall(a=1, b=1)) == "2"
        assert '"count": 1' in tools["order"](item={"name": "tea"}, tags=["a"])
        assert tools["several"]() == ["one", "two"]
        assert tools["picture"]()[0]["mimeType"] == "image/png"
        for error in failure(tools["fail"]):
            assert (error.tool, error.kind) == ("fail", "raised")
        for error in failure(tools["add"], b=1, c=2):
            assert error.kind == "arguments"
            assert "'a' is missing; 'c' is unknown" in error.reason
        for error in failure(tools["order"], item={"count": "many"}):
            assert "name" in error.reason
    for error in failure(tools["add"], a=1):
        assert isinstance(error.__cause__, ToolServerError)


def test_tools_can_be_called_sync_where_a_loop_runs_as_in_a_notebook():
    async def notebook():
        with MCPTools(STDIO) as listed:
            return by_name(listed)["add"](a=1)

    assert asyncio.run(notebook()) == "3"


def test_results_may_be_structured(server):
    with MCPTools(server, result_mode="structured") as tools:
        assert by_name(tools)["add"](a=1) == {"result": 3}
        assert by_name(tools)["picture"]()[0]["type"] == "image"


def test_a_slow_call_ends_at_its_timeout_and_the_next_one_works(server):
    with MCPTools(server, timeout=1) as listed:
        tools = by_name(listed)
        assert [error.kind for error in failure(tools["hang"])] == ["timeout"] * 2
        assert tools["add"](a=1) == "3"


def test_a_server_that_dies_is_an_error_of_each_call_and_leaves_no_process(server):
    with MCPTools(server) as listed:
        tools = by_name(listed)
        pid = int(tools["pid"]())
        threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()

        for error in (*failure(tools["hang"]), *failure(tools["add"], a=1)):
            assert error.kind == "raised"
        assert isinstance(server, str) or is_gone(pid)  # the fixture waits for the one over HTTP


def test_a_server_that_dies_in_the_middle_of_an_async_program_does_not_cancel_it(server):
    async def run():
        async with MCPTools(server) as listed:
            tools, found = by_name(listed), []
            for name in ("add", "die", "add"):
                try:
                    found.append(await adrive(tools[name].steps({"a": 1} if name == "add" else {})))
                except ToolExecutionError as error:
                    found.append(error.kind)
                await asyncio.sleep(0.05)
            return found

    assert asyncio.run(run()) == ["3", "raised", "raised"]


def test_the_end_of_the_block_ends_the_server_and_the_calls():
    with MCPTools(STDIO) as listed:
        tools = by_name(listed)
        pid = int(tools["pid"]())
        errors = []
        hanging = threading.Thread(target=lambda: errors.extend(failure(tools["hang"])[:1]))
        hanging.start()
        time.sleep(0.2)
    hanging.join(10)
    assert [error.kind for error in errors] == ["raised"]
    assert is_gone(pid)


@pytest.mark.parametrize(
    "server", [StdioServerParameters(command="no-such-command"), "http://127.0.0.1:9/mcp"], ids=["stdio", "http"]
)
def test_a_server_that_is_not_there_is_said(server):
    with pytest.raises(ToolServerError, match="cannot be reached"), MCPTools(server):
        pass


class TestASessionOfTheUsers:
    async def session(self, use):
        async with stdio_client(STDIO) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            return await use(session, {tool.name: tool for tool in (await session.list_tools()).tools})

    def test_is_called_in_its_own_loop(self):
        async def use(session, listed):
            tool = Tool.from_mcp_tool(session, listed["add"], result_mode="structured")
            with pytest.raises(ToolExecutionError, match="await acall") as caught:
                tool(a=1)
            assert caught.value.kind == "needs_async"
            return [
                await tool.acall(a=1),
                await asyncio.to_thread(tool, a=2),
                await asyncio.to_thread(lambda: asyncio.run(tool.acall(a=3))),
            ], tool

        results, tool = asyncio.run(self.session(use))

        assert results == [{"result": 3}, {"result": 4}, {"result": 5}]
        assert [error.reason[:15] for error in failure(tool, a=1)] == ["ToolServerError"] * 2

    def test_serves_a_sync_program_in_another_thread(self):
        class Adding(dspy.Module):
            def __init__(self, tool):
                super().__init__()
                self.tool = tool

            def forward(self, a: int):
                return dspy.Prediction(sum=self.tool(a=a))

        async def use(session, listed):
            program = Adding(Tool.from_mcp_tool(session, listed["add"], timeout=10))
            return (await asyncio.to_thread(program, a=1)).sum, (await program.acall(a=2)).sum

        assert asyncio.run(self.session(use)) == ("3", "4")

    def test_whose_server_dies_is_an_error_of_the_call(self):
        async def use(session, listed):
            for name in ("die", "add"):
                with pytest.raises(ToolExecutionError) as caught:
                    await adrive(Tool.from_mcp_tool(session, listed[name]).steps({} if name == "die" else {"a": 1}))
                assert caught.value.kind == "raised"

        asyncio.run(self.session(use))

    def test_that_belongs_to_no_loop_is_called_in_any(self):
        class Anywhere:
            async def call_tool(self, name, arguments=None):
                return CallToolResult(content=[TextContent(type="text", text=f"{name} {arguments}")])

        tool = Tool.from_mcp_tool(Anywhere(), MCPTool(name="now", input_schema={"type": "object"}))

        assert tool() == asyncio.run(tool.acall()) == "now {}"
        assert tool.spec().parameters == {"type": "object", "properties": {}, "required": []}

    def test_gives_results_in_known_modes(self):
        async def use(session, listed):
            with pytest.raises(ConfigurationError, match="'text' or 'structured'"):
                Tool.from_mcp_tool(session, listed["add"], result_mode="pictures")

        asyncio.run(self.session(use))


def test_a_server_that_says_nothing_is_an_error_and_no_hang(monkeypatch):
    monkeypatch.setattr("dspex_core.tools.mcp_server._CONNECT_SECONDS", 0.3)
    silent = StdioServerParameters(command=sys.executable, args=["-c", "import time; time.sleep(600)"])
    before = threading.active_count()
    with pytest.raises(ToolServerError, match=r"no answer within 0\.3 s"), MCPTools(silent):
        pytest.fail("it has opened")
    deadline = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before


def test_tools_of_a_server_say_which_extra_they_need(monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp", None)

    with (
        pytest.raises(ImportError, match=r"pip install \"pytest-dspex\[mcp\]\"") as raised,
        MCPTools("http://localhost"),
    ):
        pass
    assert not isinstance(raised.value, ToolServerError)  # nobody tries again what no server can mend
