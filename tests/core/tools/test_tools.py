"""Tools: what they are made of, how they are called, and what a model is told."""

import asyncio
import copy
import functools
import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dspex_core as dspy
from dspex_core import Tool, ToolArgumentsError, ToolExecutionError, ToolRegistry
from dspex_core.errors import ConfigurationError
from dspex_core.flow.steps import adrive, drive
from dspex_core.types.observation import as_observation

HERE: ContextVar[str] = ContextVar("HERE", default="nowhere")


class Address(pydantic.BaseModel):
    street: str
    city: str = "Graz"


class Node(pydantic.BaseModel):
    children: list["Node"] = []


def search(query: str, limit: int = 3) -> str:
    """Find pages
    about the query.
    """
    return f"{limit} pages about {query!r}"


def sleep():
    time.sleep(600)


async def asearch(query: str) -> str:
    """Find pages."""
    await asyncio.sleep(0)
    return f"pages about {query!r}"


def both(tool, **args):
    """Call a tool as a step of a flow in both manners; return what each brought or raised."""

    def flow():
        try:
            return (yield from tool.steps(args))
        except ToolExecutionError as error:
            return error

    return drive(flow()), asyncio.run(adrive(flow()))


class TestWhatAToolSays:
    def test_of_a_function(self):
        tool = Tool(search)

        assert (tool.name, tool.desc) == ("search", "Find pages\nabout the query.")
        assert tool.args == {"query": {"type": "string"}, "limit": {"type": "integer", "default": 3}}
        assert tool.arg_types == {"query": str, "limit": int}
        assert not tool.has_kwargs
        assert str(tool) == "search: Find pages about the query. Arguments: query (str); limit (int, 3 by default)"
        assert "search" in repr(tool)

    def test_in_openais_form(self):
        assert Tool(search).format_as_litellm_function_call() == {
            "type": "function",
            "function": {
                "name": "search",
                "description": "Find pages\nabout the query.",
                "parameters": {
                    "type": "object",
                    "properties": {"query": {"type": "string"}, "limit": {"type": "integer", "default": 3}},
                    "required": ["query"],
                },
            },
        }

    def test_references_in_schemas_are_resolved(self):
        def move(people: list[Address], kind: Literal["a", "b"], tree: Node, unit: Address | None = None): ...

        args = Tool(move).args

        assert "$ref" not in str(args)
        assert args["people"]["items"]["properties"]["city"]["default"] == "Graz"
        assert args["tree"]["properties"]["children"]["items"] == {"type": "object"}
        assert args["unit"]["default"] is None

    def test_what_its_user_says_counts_more(self):
        tool = Tool(search, name="find", desc="Find.", arg_desc={"query": "the words"}, arg_types={"limit": float})

        assert (tool.name, tool.desc) == ("find", "Find.")
        assert tool.args["query"] == {"type": "string", "description": "the words"}
        assert tool(query="x", limit="2.5") == "2.5 pages about 'x'"

    def test_schemas_of_its_user_replace_those_of_the_type_hints(self):
        tool = Tool(lambda **args: args, name="any", args={"n": {"type": "integer"}, "of": {"enum": ["a", "b"]}})

        assert tool.has_kwargs
        assert tool(n="3", of="a", more=1) == {"n": 3, "of": "a", "more": 1}
        with pytest.raises(ToolArgumentsError, match="'of'"):
            tool(n=3, of="c")

    def test_descriptions_and_limits_in_annotations(self):
        def rate(stars: Annotated[int, pydantic.Field(ge=1, le=5, description="how good")]): ...

        tool = Tool(rate)

        assert str(tool) == "rate: Arguments: stars (int, at least 1, at most 5): how good"
        with pytest.raises(ToolArgumentsError, match=r"'stars': .* less than or equal to 5, not 6"):
            tool(stars=6)

    def test_a_type_without_a_schema_may_have_a_default(self):
        def look(query: str, connection: threading.Thread | None = None):
            return connection

        tool = Tool(look)

        assert tool.args["connection"] == {"default": None}
        assert tool(query="x") is None
        with pytest.raises(ToolArgumentsError, match="connection"):
            tool(query="x", connection="y")


class Greeter:
    """Greets people."""

    def __init__(self, word: str = "Hello"):
        self.word = word

    def greet(self, name: str) -> str:
        """Greet one of them."""
        return f"{self.word}, {name}"

    def __call__(self, name: str) -> str:
        return self.greet(name)


class AsyncGreeter:
    async def __call__(self, name: str) -> str:
        """Greet slowly."""
        return f"Hello, {name}"


@dataclass
class Point:
    """A point."""

    x: int
    y: int = 0


def through_a_decorator(name: str):
    """Greet as a decorator does that knows nothing of async functions."""
    return AsyncGreeter()(name)


class TestWhatAToolIsMadeOf:
    @pytest.mark.parametrize(
        ("made_of", "name", "desc"),
        [
            (Greeter().greet, "greet", "Greet one of them."),
            (Greeter(), "Greeter", "Greets people."),
            (AsyncGreeter(), "AsyncGreeter", "Greet slowly."),
            (functools.partial(Greeter().greet), "greet", "Greet one of them."),
            (functools.partial(AsyncGreeter()), "AsyncGreeter", "Greet slowly."),
            (
                through_a_decorator,
                "through_a_decorator",
                "Greet as a decorator does that knows nothing of async functions.",
            ),
        ],
    )
    def test_callables(self, made_of, name, desc):
        tool = Tool(made_of)

        assert (tool.name, tool.desc, list(tool.args)) == (name, desc, ["name"])
        assert tool(name="Ann") == "Hello, Ann"
        assert asyncio.run(tool.acall(name="Ann")) == "Hello, Ann"
        assert both(tool, name="Ann") == ("Hello, Ann", "Hello, Ann")

    def test_a_partial_has_the_bound_value_as_default(self):
        tool = Tool(functools.partial(search, limit=7))

        assert tool.args["limit"]["default"] == 7
        assert tool(query="x") == "7 pages about 'x'"

    def test_a_class(self):
        assert Tool(Point)(x="1") == Point(1, 0)

    def test_a_pydantic_model_gives_an_instance(self):
        class Order(pydantic.BaseModel):
            """Order something."""

            item: str = pydantic.Field(description="what", alias="itemName")
            count: int = 1
            to: Address

            @pydantic.field_validator("count")
            @classmethod
            def _few(cls, value):
                assert value < 5, "too many"
                return value

        tool = Tool(Order)

        assert (tool.name, tool.desc) == ("Order", "Order something.")
        assert tool(itemName="tea", to={"street": "Ring 1"}) == Order(itemName="tea", to=Address(street="Ring 1"))
        with pytest.raises(ToolArgumentsError) as caught:
            tool(item="tea", count=7, to={"street": "Ring 1"})
        for problem in ("'itemName' is missing", "too many", "'item' is unknown", "It takes: itemName (str): what"):
            assert problem in str(caught.value)

    def test_nested_models_arrive_as_instances(self):
        def move(to: list[Address]):
            return to

        assert Tool(move)(to=[{"street": "a"}]) == [Address(street="a")]

    @pytest.mark.parametrize("made_of", [3, lambda x: x, len])
    def test_what_cannot_be_a_tool_is_refused(self, made_of):
        with pytest.raises(ConfigurationError, match=r"tool|name"):
            Tool(made_of)

    def test_a_type_that_cannot_be_found_is_named(self):
        def bad(x: "Nowhere"): ...  # noqa: F821  on purpose

        with pytest.raises(ConfigurationError, match="Nowhere"):
            Tool(bad)

    def test_is_shared_by_the_copies_of_a_program(self):
        tool = Tool(Greeter())

        assert copy.deepcopy([tool])[0] is tool


class TestPrograms:
    def test_takes_what_its_signature_does(self):
        class Summarize(dspy.Signature):
            """Sum it up."""

            text: str = dspy.InputField(desc="the whole text", min_length=3)
            words: int = dspy.InputField(default=10)
            summary: str = dspy.OutputField()

        tool = Tool(dspy.Predict(Summarize))

        assert str(tool) == (
            "Summarize: Sum it up. Arguments: text (str, length at least 3): the whole text; words (int, 10 by default)"
        )
        with dspy.context(lm=dspy.ScriptedLM(lambda _: {"summary": "short"})):
            assert as_observation(tool(text="long text")) == '{"summary": "short"}'
            assert [found.summary for found in both(tool, text="long text")] == ["short", "short"]
        with pytest.raises(ToolArgumentsError, match="at least 3"):
            tool(text="x")

    def test_of_one_predictor_takes_what_that_does(self):
        tool = Tool(dspy.ChainOfThought("question, k: int -> answer"), name="think")

        assert (tool.name, list(tool.args)) == ("think", ["question", "k"])
        assert Tool(dspy.ChainOfThought("question -> answer")).name == "ChainOfThought"

    def test_of_a_user_takes_what_its_forward_does(self):
        class Hop(dspy.Module):
            """Hop once."""

            def forward(self, start: str, hops: int = 1):
                return dspy.Prediction(at=start * hops)

        class AsyncHop(dspy.Module):
            async def aforward(self, start: str):
                """Hop slowly."""
                return dspy.Prediction(at=start)

        assert str(Tool(Hop())) == "Hop: Hop once. Arguments: start (str); hops (int, 1 by default)"
        assert [found.at for found in both(Tool(Hop()), start="a", hops="2")] == ["aa", "aa"]
        assert str(Tool(AsyncHop())) == "AsyncHop: Hop slowly. Arguments: start (str)"
        assert [found.at for found in both(Tool(AsyncHop()), start="a")] == ["a", "a"]

    def test_that_says_nothing_of_its_inputs_is_refused(self):
        class Odd(dspy.Module):
            def flow(self, **inputs):
                yield from ()

        with pytest.raises(ConfigurationError, match="wrap it in a function"):
            Tool(Odd())


class TestArguments:
    def test_every_problem_is_told_at_once(self):
        with pytest.raises(ToolArgumentsError) as caught:
            Tool(search)(limit="many", page=2)

        error = caught.value
        assert isinstance(error, ValueError)
        assert (error.tool, error.args, error.kind) == ("search", {"limit": "many", "page": 2}, "arguments")
        assert "'query' is missing" in error.reason
        assert "'limit': Input should be a valid integer" in error.reason
        assert "'page' is unknown" in error.reason
        assert error.reason.endswith("It takes: query (str); limit (int, 3 by default)")
        assert str(error) == f"search: {error.reason}"

    def test_of_any_name_where_the_function_takes_them(self):
        def note(text: str, **more: Any):
            return more

        assert Tool(note)(text="x", colour="red") == {"colour": "red"}

    def test_a_validator_that_breaks_is_no_crash_of_the_agent(self):
        def broken(value: str) -> str:
            raise KeyError(value)

        def tool(x: Annotated[str, pydantic.AfterValidator(broken)]): ...

        assert [error.kind for error in both(Tool(tool), x="a")] == ["arguments", "arguments"]

    @given(
        st.dictionaries(
            st.sampled_from(["schema", "copy", "json", "model_config", "_x", "größe", "a b", "self", "tool"]),
            st.tuples(st.sampled_from([int, str, float, list[int], dict[str, Any]]), st.booleans()),
        ),
        st.data(),
    )
    def test_round_trip_whatever_their_names_and_types(self, wanted, data):
        of_type = {
            int: st.integers(),
            str: st.text(),
            float: st.floats(allow_nan=False),
            list[int]: st.lists(st.integers()),
            dict[str, Any]: st.dictionaries(st.text(), st.none() | st.booleans()),
        }
        args = {name: {"default": None} if optional else {} for name, (_, optional) in wanted.items()}
        tool = Tool(
            lambda **args: args, name="t", args=args, arg_types={name: kind for name, (kind, _) in wanted.items()}
        )
        given = {
            name: data.draw(of_type[kind])
            for name, (kind, optional) in wanted.items()
            if not optional or data.draw(st.booleans())
        }

        assert tool(**given) == given
        required = sorted(name for name, (_, optional) in wanted.items() if not optional)
        assert sorted(tool.spec().parameters["required"]) == required
        for name in required:
            with pytest.raises(ToolArgumentsError, match="is missing"):
                tool(**{key: value for key, value in given.items() if key != name})

    @given(st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.text())))
    def test_of_any_kind_never_break_a_step(self, args):
        sync, _ = both(Tool(search), **args)

        assert isinstance(sync, str) or sync.kind == "arguments"


class TestCalls:
    def test_what_the_function_raises_is_raised_as_it_is(self):
        def fail():
            raise LookupError("no such order")

        with pytest.raises(LookupError, match="no such order"):
            Tool(fail)()
        with pytest.raises(LookupError, match="no such order"):
            asyncio.run(Tool(fail).acall())

    @pytest.mark.parametrize("error", [LookupError("no such order"), StopIteration(), TimeoutError("of its own")])
    def test_as_a_step_every_failure_is_a_tool_execution_error(self, error):
        def fail():
            raise error

        async def afail():
            raise error

        for tool in (Tool(fail), Tool(afail)) if not isinstance(error, StopIteration) else (Tool(fail),):
            for found in both(tool):
                assert (found.tool, found.kind, found.args) == (tool.name, "raised", {})
                assert found.__cause__ is error
                assert found.reason.startswith(type(error).__name__)

    def test_of_a_tool_in_a_tool_the_outer_one_is_named(self):
        inner = Tool(search)

        def outer():
            return drive(inner.steps({}))

        assert [(error.tool, error.kind, error.__cause__.tool) for error in both(Tool(outer))] == [
            ("outer", "raised", "search")
        ] * 2

    @pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
    def test_what_is_to_end_the_process_passes(self, interruption):
        def stop():
            raise interruption

        with pytest.raises(interruption):
            drive(Tool(stop).steps({}))
        with pytest.raises(interruption):
            drive(Tool(stop, timeout=10).steps({}))

    def test_settings_and_context_are_those_of_the_caller(self):
        seen = []

        def look():
            seen.append((HERE.get(), dspy.settings.num_threads))

        async def alook():
            look()

        HERE.set("here")
        with dspy.context(num_threads=77):
            for made_of in (look, alook):
                both(Tool(made_of))
                both(Tool(made_of, timeout=10))
        assert seen == [("here", 77)] * 8

    def test_sync_without_a_timeout_stays_in_the_thread(self):
        def here():
            return threading.get_ident()

        assert Tool(here)() == threading.get_ident()

    def test_async_does_not_block_the_event_loop(self):
        meeting = threading.Barrier(40)  # nobody gets past it before all are there

        async def many():
            await asyncio.gather(*[Tool(meeting.wait).acall() for _ in range(40)])

        asyncio.run(many())

    def test_an_async_tool_in_a_running_loop_says_to_use_acall(self):
        async def wrongly():
            return drive(Tool(asearch).steps({"query": "x"}))

        with pytest.raises(ToolExecutionError, match="await acall instead") as caught:
            asyncio.run(wrongly())
        assert caught.value.kind == "needs_async"

    def test_awaitables_of_a_sync_function_in_a_running_loop_too(self):
        async def wrongly():
            return Tool(through_a_decorator)(name="x")

        with pytest.raises(ToolExecutionError, match="await acall instead"):
            asyncio.run(wrongly())


class TestTimeouts:
    def test_hold_for_every_kind_of_function(self):
        cancelled = []

        async def hang():
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        for made_of in (sleep, hang):
            tool = Tool(made_of, timeout=0.1)
            for found in both(tool):
                assert (found.tool, found.kind) == (tool.name, "timeout")
                assert "0.1 s" in found.reason
        assert cancelled == [True, True]

    def test_hold_in_direct_calls(self):
        with pytest.raises(ToolExecutionError, match="not done within"):
            Tool(sleep, timeout=0.05)()

    def test_hold_sync_where_an_async_tool_blocks(self):
        async def block():
            time.sleep(600)  # noqa: ASYNC251  that is the case

        with pytest.raises(ToolExecutionError, match="not done within"):
            Tool(block, timeout=0.05)()

    def test_leave_the_quick_alone(self):
        assert both(Tool(search, timeout=10), query="x") == ("3 pages about 'x'",) * 2
        assert both(Tool(asearch, timeout=10), query="x") == ("pages about 'x'",) * 2


class TestSpans:
    def test_tell_of_calls_and_failures(self):
        events = []
        with dspy.context(listeners=(events.append,)):
            both(Tool(search), query="x")
            both(Tool(search))
        assert [event.name for event in events] == ["dspex.tool.start", "dspex.tool.stop"] * 2 + [
            "dspex.tool.start",
            "dspex.tool.exception",
        ] * 2
        assert events[0].attributes["instance"].name == "search"
        assert events[1].attributes["result"] == "3 pages about 'x'"
        assert events[5].attributes["error"].kind == "arguments"

    def test_tell_callbacks(self):
        told = []

        class Listening(dspy.BaseCallback):
            def on_tool_start(self, call_id, instance, inputs):
                told.append((instance.name, inputs))

            def on_tool_end(self, call_id, outputs, exception=None):
                told.append((outputs, exception))

        with dspy.context(callbacks=[Listening()]):
            Tool(search)(query="x")
        assert told == [("search", {"kwargs": {"query": "x"}}), ("3 pages about 'x'", None)]


class TestRegistry:
    def test_lists_and_finds(self):
        tools = ToolRegistry([search, Tool(asearch, name="slowly")])

        @tools.register
        def now() -> str:
            return "now"

        assert [tool.name for tool in tools] == ["search", "slowly", "now"]
        assert now() == "now"
        assert len(tools) == 3
        assert "now" in tools
        assert drive(tools.steps("now", {})) == "now"
        assert repr(tools) == "ToolRegistry(search, slowly, now)"

    def test_names_near_ones(self):
        with pytest.raises(ToolExecutionError, match="did you mean 'search'") as caught:
            drive(ToolRegistry([search, asearch]).steps("serch", {"query": "x"}))
        assert (caught.value.kind, caught.value.args) == ("unknown_tool", {"query": "x"})
        with pytest.raises(ToolExecutionError, match=r"no such tool\. There are: none"):
            ToolRegistry().get("x")

    def test_refuses_a_name_twice(self):
        tools = ToolRegistry([search])

        with pytest.raises(ConfigurationError, match="'search' exists already"):
            tools.register(Tool(asearch, name="search"))

    def test_scopes_end(self):
        tools = ToolRegistry([search])
        with tools.scope() as session:
            session.register(asearch)
            session.register(Tool(asearch, name="search"))
            assert [tool.name for tool in session] == ["search", "asearch"]
            assert session.get("search").desc == "Find pages."
            assert copy.deepcopy(session) is session
        assert [tool.name for tool in session] == ["search"]
        assert session.get("search").desc != "Find pages."
        assert "asearch" not in tools

    def test_scopes_of_threads_do_not_meet(self):
        tools = ToolRegistry([search])
        errors = []

        def work(number):
            for turn in range(50):
                with tools.scope() as session:
                    session.register(Tool(asearch, name=f"t{number}_{turn}"))
                    if [tool.name for tool in session] != ["search", f"t{number}_{turn}"]:
                        errors.append(number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors


class TestObservations:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("as it is", "as it is"),
            ({"a": [1, None, "ü"]}, '{"a": [1, null, "ü"]}'),
            (Address(street="x"), '{"street": "x", "city": "Graz"}'),
            (dspy.Prediction(a=1), '{"a": 1}'),
            ([dspy.Prediction(a=1)], '[{"a": 1}]'),
            (ValueError("no"), "ValueError: no"),
            (KeyboardInterrupt(), "KeyboardInterrupt"),
            (None, "null"),
            ({3}, "[3]"),
            (b"\xff", r"b'\xff'"),
            (float("nan"), "NaN"),
        ],
    )
    def test_of_any_value(self, value, text):
        assert as_observation(value) == text

    def test_of_what_holds_itself(self):
        circle = []
        circle.append(circle)

        assert as_observation(circle) == "[[...]]"

    def test_of_what_has_no_form(self):
        class Odd:
            def __str__(self):
                return "odd"

        assert as_observation({"a": Odd()}) == '{"a": "odd"}'

    def test_are_cut_and_say_so(self):
        text = as_observation("x" * 10_000_000)

        assert len(text) < 100_100
        assert text.endswith("[cut: 9900000 of 10000000 characters are left out]")
        assert as_observation([1, 2, 3], limit=4) == "[1, \n[cut: 5 of 9 characters are left out]"

    @given(st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.binary(), st.lists))
    def test_never_fail(self, value):
        assert isinstance(as_observation(value), str)
