"""What programs hand through to a model, and what they emit, is the same in DSPy and in ours."""

import asyncio

import pytest
from both import chat, dummy, in_real, scripted, uses
from openai_server import OpenAIServer

use, USES = uses()

IMAGES = ["https://a.org/b.png", "https://a.org/c.png"]


def served(dspy, ask, replies):
    """Return what `ask(lm, server)` does while a server answers with these replies."""
    own = {"recorder": None, "replay_only": False} if dspy.__name__ == "dspex_core" else {}
    with OpenAIServer(*replies) as server:
        lm = dspy.LM("openai/gpt-4o-mini", api_base=server.base_url, api_key="k", cache=False)
        with dspy.context(lm=lm, adapter=dspy.ChatAdapter(), **own):
            return ask(lm, server)


def asked_as_given(dspy, messages):
    """Whether an LM is sent these messages as they are."""

    def ask(lm, server):
        return lm(messages=messages), server.requests[-1].body["messages"] == messages, lm.history[-1]["messages"]

    return served(dspy, ask, ["ok"])


@use
def hosted_tools(dspy):
    tools = [
        {"type": "web_search"},
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}},
    ]
    return served(dspy, lambda lm, server: (lm("hi", tools=tools), server.requests[-1].body["tools"] == tools), ["ok"])


@use
def hosted_tools_of_a_predictor(dspy):
    program = dspy.Predict("q -> a", tools=[{"type": "web_search"}])
    return served(dspy, lambda lm, server: program(q="?").a, [chat(a="x")])


@use
def native_parts(dspy):
    parts = [
        {"type": "text", "text": "hi"},
        {"type": "image_url", "image_url": {"url": IMAGES[0], "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "aaaa", "format": "wav"}},
        {"type": "file", "file": {"file_id": "f1"}},
    ]
    return asked_as_given(dspy, [{"role": "user", "content": parts}])


@use
def parts_and_members_that_one_provider_knows(dspy):
    parts = [
        {"type": "document", "document": {"title": "t"}},
        {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}},
    ]
    return asked_as_given(dspy, [{"role": "user", "content": parts, "name": "bob"}])


@use
def calls_and_their_results(dspy):
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    return asked_as_given(
        dspy,
        [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "3"},
        ],
    )


@use
def calls_written_as_text(dspy):
    class Act(dspy.Signature):
        q: str = dspy.InputField()
        tools: list[dspy.Tool] = dspy.InputField()
        calls: dspy.ToolCalls = dspy.OutputField()

    reply = chat(calls={"tool_calls": [{"name": "search", "args": {"query": "x"}}]})
    adapter = dspy.ChatAdapter(use_native_function_calling=False)
    with dspy.context(lm=scripted(dspy, [reply]), adapter=adapter):
        found = dspy.Predict(Act)(q="?", tools=[dspy.Tool(lambda query: query, name="search")])
    return [(call.name, call.args) for call in found.calls.tool_calls]


def shown(dspy, adapter):
    """Return the messages in which a list of images is shown."""
    lm = dummy(dspy, [{"a": "x"}])
    fields = {"images": (list[dspy.Image], dspy.InputField()), "a": (str, dspy.OutputField())}
    with dspy.context(lm=lm, adapter=adapter):
        dspy.Predict(dspy.Signature(fields))(images=[dspy.Image(url) for url in IMAGES])
    return lm.history[-1]["messages"]


def urls(message):
    return [part["image_url"]["url"] for part in message["content"] if part["type"] == "image_url"]


@use
def images_where_hooks_of_the_system_message_are_overridden(dspy):
    class Terse(dspy.ChatAdapter):
        def format_field_description(self, signature):
            return "FIELDS"

        def format_task_description(self, signature):
            return "TASK"

        def user_message_output_requirements(self, signature):
            return "ANSWER"

    system, user = shown(dspy, Terse())
    return urls(user), "ANSWER" in str(user), "FIELDS" in system["content"], "TASK" in system["content"]


@use
def images_where_the_user_message_is_overridden(dspy):
    class Framed(dspy.ChatAdapter):
        def format_user_message_content(self, *args, **kwargs):
            return f"BEFORE\n{super().format_user_message_content(*args, **kwargs)}\nAFTER"

    user = shown(dspy, Framed())[-1]
    first, *_, last = user["content"]
    return urls(user), first["text"][:6], last["text"][-5:]


@use
def a_listener_with_all_options(dspy):
    program = dspy.Predict("q -> answer")
    listener = dspy.streaming.StreamListener("answer", predict=program, predict_name="mine", allow_reuse=True)
    run = dspy.streamify(program, stream_listeners=[listener], async_streaming=False)

    def ask(lm, server):
        items = [item for item in run(q="?") if isinstance(item, dspy.streaming.StreamResponse)]
        text = "".join(item.chunk for item in items).strip()
        return text, {item.predict_name for item in items}, items[-1].is_last_chunk

    return served(dspy, ask, [chat(answer="to be or not to be")])


@use
def a_listener_that_hears_a_predictor_twice(dspy):
    class Twice(dspy.Module):
        def __init__(self):
            super().__init__()
            self.ask = dspy.Predict("q -> answer")

        def forward(self, q):
            self.ask(q=q)
            return self.ask(q=q)

    listener = dspy.streaming.StreamListener("answer", allow_reuse=True)
    run = dspy.streamify(Twice(), stream_listeners=[listener], async_streaming=False)

    def ask(lm, server):
        texts = [item.chunk for item in run(q="?") if isinstance(item, dspy.streaming.StreamResponse)]
        return "".join(texts).replace("\n", "").replace(" ", "")

    return served(dspy, ask, [chat(answer="one two"), chat(answer="three four")])


@use
def items_of_the_programs_own(dspy):
    class Telling(dspy.Module):
        async def aforward(self, q):
            await dspy.settings.send_stream.send("mine")
            return dspy.Prediction(a=q)

    async def collect():
        return [item async for item in dspy.streamify(Telling(), is_async_program=True)(q="?")]

    sent, prediction = asyncio.run(collect())
    return sent, prediction.a


@use
def a_program_that_is_not_streamed(dspy):
    return dspy.settings.send_stream


@pytest.mark.parametrize("use", USES)
def test_the_same(ours, real, use):
    assert use(ours) == in_real(use, real)


def test_tools_and_parts_in_the_form_of_responses(ours, live):
    tools = [
        {"type": "web_search"},
        {"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}},
    ]
    content = [{"type": "input_image", "file_id": "f1"}, {"type": "text", "text": "hi"}]
    reply = {"output": [{"type": "message", "content": [{"type": "output_text", "text": "ok"}]}], "model": "m"}
    with OpenAIServer(reply) as server:
        lm = ours.LM("openai/m", model_type="responses", api_base=server.base_url, api_key="k", cache=False)
        lm(messages=[{"role": "user", "content": content}], tools=tools)

    sent = server.requests[-1].body
    assert sent["tools"] == [
        {"type": "web_search"},
        {"type": "function", "name": "f", "parameters": {}, "strict": True},
    ]
    assert sent["input"][0]["content"] == [content[0], {"type": "input_text", "text": "hi"}]


@pytest.mark.parametrize("tool", [{"name": "f"}, {"type": "function"}, {"type": 3}, "search"])
def test_a_tool_of_no_form_is_refused(ours, tool):
    with pytest.raises(ValueError, match="a tool is written as"):
        ours.ScriptedLM(["x"])("hi", tools=[tool])


@pytest.mark.parametrize("part", [{"type": "text"}, {"text": "x"}, "x", {"type": "image_url"}])
def test_a_part_of_no_form_is_refused(ours, part):
    with pytest.raises(ValueError, match="a part of a message is"):
        ours.ScriptedLM(["x"])(messages=[{"role": "user", "content": [part]}])
