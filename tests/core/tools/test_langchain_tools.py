"""Tools of the real LangChain."""

import asyncio
import sys

import pydantic
import pytest
from langchain_core.tools import StructuredTool, ToolException, tool

from dspex_core import ConfigurationError, Tool, ToolArgumentsError, ToolExecutionError
from dspex_core.flow.steps import drive


class Item(pydantic.BaseModel):
    name: str
    count: int = 1


@tool
def order(item: Item, days: int = 3) -> str:
    """Order an item."""
    return f"{item!r} {days}"


@tool
async def wait(seconds: float) -> str:
    """Wait."""
    return f"waited {seconds}"


@tool
def fail() -> str:
    """Fail."""
    raise ToolException("no such order")


@pytest.mark.parametrize("given", [None, "order", object(), order.func, StructuredTool])
def test_what_is_not_a_tool_of_langchain_is_refused(given):
    with pytest.raises(ConfigurationError, match="takes a tool of LangChain, not"):
        Tool.from_langchain(given)


def test_without_langchain_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "langchain_core.tools", None)
    monkeypatch.delitem(sys.modules, "dspex_core.tools.langchain", raising=False)
    with pytest.raises(ImportError, match=r"pytest-dspex\[langchain\]"):
        Tool.from_langchain(order)


def test_a_sync_tool():
    made = Tool.from_langchain(order)

    assert str(made) == ("order: Order an item. Arguments: item ({name: str, count: int}); days (int, 3 by default)")
    for result in (made(item={"name": "tea"}), asyncio.run(made.acall(item={"name": "tea"}))):
        assert result == "Item(name='tea', count=1) 3"


def test_an_async_tool():
    made = Tool.from_langchain(wait, timeout=10)

    assert made(seconds="1") == asyncio.run(made.acall(seconds=1)) == "waited 1.0"


def test_arguments_are_checked():
    with pytest.raises(ToolArgumentsError, match=r"'item.name' is missing; 'fast' is unknown"):
        Tool.from_langchain(order)(item={}, fast=True)


def test_what_it_raises_is_told():
    with pytest.raises(ToolException):
        Tool.from_langchain(fail)()
    with pytest.raises(ToolExecutionError, match="ToolException: no such order"):
        drive(Tool.from_langchain(fail).steps({}))


def test_a_tool_with_a_json_schema():
    schema = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
    found = StructuredTool(name="find", description="Find.", args_schema=schema, func=lambda query: query)

    made = Tool.from_langchain(found)

    assert made(query="x") == "x"
    with pytest.raises(ToolArgumentsError, match="valid string"):
        made(query=["x"])
