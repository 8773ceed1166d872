"""Typed calls of LMs: messages, parts, requests and responses by DSPy's names, the same in DSPy and in ours."""

import asyncio

import pytest
from both import in_real, module, uses

use, USES = uses()


def echo(dspy, seen=None):
    """A typed LM that answers with what it has been asked."""

    class Echo(dspy.BaseLM):
        forward_contract = "typed_lm"

        def forward(self, request):
            if seen is not None:
                seen.append(request)
            said = " | ".join(f"{message.role}: {message.text}" for message in request.messages)
            usage = {"prompt_tokens": 3, "completion_tokens": 2}
            return dspy.LMResponse.from_text(f"[[ ## a ## ]]\n{said}", model=request.model, usage=usage)

        async def aforward(self, request):
            await asyncio.sleep(0)
            return self.forward(request)

    return Echo(model="test/echo", temperature=0.5)


@use
def a_typed_lm_called_as_ever(dspy):
    lm = echo(dspy)
    return lm("hi"), lm(messages=[{"role": "user", "content": "yo"}]), asyncio.run(lm.acall("hi")), len(lm.history)


@use
def items_of_a_typed_call(dspy):
    with dspy.context(experimental=True):
        lm = echo(dspy)
        first = lm(dspy.System("Be brief."), dspy.Developer("In English."), dspy.User("What?"))
        second = lm(dspy.User("What?"), first, dspy.User("And then?"))
        third = lm("one", "two")
        fourth = asyncio.run(lm.acall([dspy.User("listed"), dspy.Assistant("so")]))
    usage = first.usage_as_dict()
    return (
        (first.text, first.model, first.output.text, len(first.outputs), first.cache_hit),
        [second.text, third.text.replace("\n", ""), fourth.text],
        (usage["prompt_tokens"], usage["output_tokens"], usage["total_tokens"]),
    )


@use
def a_request_of_ones_own(dspy):
    seen = []
    lm = echo(dspy, seen)
    config = dspy.LMConfig(temperature=0.2, max_tokens=200)
    request = dspy.LMRequest(model="m", messages=[dspy.User("hi")], config=config)
    by_position, by_name = lm(request), lm(request=request.with_config_overrides(temperature=1.0))
    [first, second] = seen
    return (
        (by_position.text, by_name.text),
        (first.config.temperature, first.config.max_tokens, first.config.top_p),
        (second.config.temperature, second.config.max_tokens),
        (config.temperature, config.n),
    )


@use
def a_typed_lm_in_a_program(dspy):
    seen = []
    with dspy.context(lm=echo(dspy, seen), adapter=dspy.ChatAdapter(), track_usage=True):
        predict = dspy.Predict("q -> a")
        answer = predict(q="1", config={"max_tokens": 7})
        awaited = asyncio.run(predict.acall(q="2"))
    [first, _] = seen
    usage = answer.get_lm_usage()["test/echo"]
    return (
        "user: [[ ## q ## ]]" in answer.a,
        "user: [[ ## q ## ]]" in awaited.a,
        [message.role for message in first.messages],
        (first.model, first.config.temperature, first.config.max_tokens),
        (usage["prompt_tokens"], usage["completion_tokens"]),
    )


@use
def parts_of_messages(dspy):
    types = module(dspy, "core.types")
    message = dspy.Assistant("Let me see.", dspy.ToolCall(id="call_1", name="search", args={"query": "x"}))
    text, call = message.parts
    result = dspy.ToolResult("22 degrees", call_id="call_1", name="search")
    listed = dspy.ToolResult(content=["a", "b"], call_id="call_2")
    return (
        (message.role, message.text, text.text, isinstance(text, types.LMTextPart)),
        (call.name, call.args, call.id),
        (result.role, listed.role),
        dspy.LMMessage(role="user", parts=[types.LMTextPart(text="hi")]).text,
        dspy.LMMessage(role="user", content="hi").text,
        dspy.User("hi", name="ann").name,
        refused(lambda: dspy.ToolResult("a", content="b")),
        refused(lambda: dspy.User(object())),
        refused(lambda: types.LMImagePart(url="u", data="d")),
    )


def refused(make):
    try:
        make()
    except (TypeError, ValueError) as error:
        return isinstance(error, TypeError), True
    return None


@use
def media_reach_an_lm_of_the_old_form(dspy):
    types = module(dspy, "core.types")
    sent = []

    class Own(dspy.BaseLM):
        def forward(self, prompt=None, messages=None, **kwargs):
            sent.append(messages)
            dotdict = module(dspy, "dsp.utils").dotdict
            message = dotdict(content="seen", tool_calls=None)
            return dotdict(choices=[dotdict(message=message, finish_reason="stop")], usage={}, model="m")

    image = types.LMImagePart(url="https://example.com/dog.png", detail="low")
    with dspy.context(experimental=True):
        said = Own("m")(dspy.User("What is it?", image, types.LMImagePart(data="AAAA", media_type="image/gif")))
    [[message]] = sent
    return (
        said.text,
        [part for part in message["content"] if part["type"] == "text"],
        [part["image_url"]["url"] for part in message["content"] if part["type"] == "image_url"],
    )


@use
def what_an_lm_that_answers_in_parts_returns(dspy):
    types = module(dspy, "core.types")

    class Parts(dspy.BaseLM):
        forward_contract = "typed_lm"

        def forward(self, request):
            call = types.LMToolCallPart(name="search", args={"q": 1}, id="c")
            outputs = [types.LMOutput(parts=[types.LMTextPart(text="hm"), call], finish_reason="tool_calls")]
            return dspy.LMResponse(model=request.model, outputs=outputs, usage=types.LMUsage(input_tokens=1))

    with dspy.context(experimental=True):
        response = Parts("m")("q")
    [call] = response.tool_calls
    return response.text, (call.name, call.args, call.id), response.output.finish_reason, response.usage.prompt_tokens


@use
def a_stream_of_the_programs_own(dspy):
    sent = []

    class Stream:
        async def send(self, item):
            sent.append(item)

    async def program():
        await dspy.settings.send_stream.send("working")

    own = Stream()
    with dspy.context(send_stream=own):
        asyncio.run(program())
        is_own = dspy.settings.send_stream is own
    return sent, is_own, dspy.settings.send_stream


@pytest.mark.parametrize("use", USES)
def test_the_same_in_dspy_and_in_ours(real, ours, use):
    theirs = in_real(use, real)

    assert use(ours) == theirs


def test_a_request_and_what_it_is_made_of_are_refused_together(ours):
    lm = echo(ours)
    request = ours.LMRequest(messages=[ours.User("hi")])
    for call in (
        lambda: lm(request, "more"),
        lambda: lm("more", request=request),
        lambda: lm(request, messages=[]),
        lambda: lm("hi", messages=[]),
        lambda: lm(prompt="hi", messages=[]),
    ):
        with pytest.raises(ValueError, match="call an LM with"):
            call()


def test_a_prompt_and_messages_may_still_be_given_by_position(ours):
    lm = echo(ours)

    assert lm(None, [{"role": "user", "content": "yo"}]) == lm("yo", None) == lm("yo")
