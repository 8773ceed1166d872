"""Adapters, LMs and types of users, run with either library."""

import datetime as dt
import enum
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import pydantic
import pytest
from both import asking, chat, dummy, in_real, scripted, sent_to, uses

use, USES = uses()


@use
def an_adapter_that_changes_the_format(dspy):
    class Shouting(dspy.ChatAdapter):
        def format(self, signature, demos, inputs):
            messages = super().format(signature, demos, inputs)
            messages[-1]["content"] = messages[-1]["content"].upper()
            return messages

    lm = dummy(dspy, [{"answer": "x"}])
    with dspy.context(lm=lm, adapter=Shouting()):
        found = dspy.Predict("q -> answer")(q="why?").answer
    return found, "WHY?" in lm.history[-1]["messages"][-1]["content"]


@use
def an_adapter_that_parses(dspy):
    class Lines(dspy.Adapter):
        def format(self, signature, demos, inputs):
            return [{"role": "user", "content": "\n".join(f"{key}={value}" for key, value in inputs.items())}]

        def parse(self, signature, completion):
            return dict(line.split("=", 1) for line in completion.splitlines())

    lm = scripted(dspy, ["a=1\nb=2"])
    with dspy.context(lm=lm, adapter=Lines()):
        return dspy.Predict("q -> a, b")(q="?").toDict(), sent_to(lm)


@use
def an_adapter_that_parses_after_the_chat_adapter(dspy):
    class Cleaned(dspy.ChatAdapter):
        def parse(self, signature, completion):
            fields = super().parse(signature, completion.replace("**", ""))
            return {name: value.strip(".") for name, value in fields.items()}

    with dspy.context(lm=scripted(dspy, [chat(a="**x.**")]), adapter=Cleaned()):
        return dspy.Predict("q -> a")(q="?").a


@use
def adapters_used_alone(dspy):
    signature = dspy.Signature("q -> a: int")
    found = []
    for adapter in (dspy.ChatAdapter(), dspy.JSONAdapter(), dspy.XMLAdapter()):
        messages = adapter.format(signature, demos=[{"q": "1", "a": 2}], inputs={"q": "3"})
        found.append([message["role"] for message in messages])
    return (
        found,
        dspy.ChatAdapter().parse(signature, chat(a="3")),
        dspy.JSONAdapter().parse(signature, '{"a": 3}'),
        dspy.XMLAdapter().parse(signature, "<a>3</a>"),
    )


@use
def system_message_pieces(dspy):
    class Doc(dspy.Signature):
        """Answer well."""

        q: str = dspy.InputField(desc="the question")
        a: Literal["x", "y"] = dspy.OutputField(desc="the answer")

    adapter = dspy.ChatAdapter()
    return (
        "the question" in adapter.format_field_description(Doc),
        "[[ ## a ## ]]" in adapter.format_field_structure(Doc),
        "Answer well." in adapter.format_task_description(Doc),
        "the question" in adapter.format_system_message(Doc),
        "why?" in adapter.format_user_message_content(Doc, {"q": "why?"}),
        "[[ ## a ## ]]" in adapter.format_assistant_message_content(Doc, {"a": "x"}),
        isinstance(adapter.user_message_output_requirements(Doc), str),
        len(adapter.format_demos(Doc, [{"q": "1", "a": "x"}])),
    )


@use
def an_lm_of_a_user(dspy):
    class Echo(dspy.BaseLM):
        def __init__(self):
            super().__init__(model="echo")

        def forward(self, prompt=None, messages=None, **kwargs):
            text = chat(answer=messages[-1]["content"][:20] if messages else prompt)
            return SimpleNamespace(
                choices=[SimpleNamespace(message=SimpleNamespace(content=text, tool_calls=None), finish_reason="stop")],
                usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
                model="echo",
            )

    lm = Echo()
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        found = dspy.Predict("q -> answer")(q="why?").answer
    return found, lm.history[-1]["usage"]["total_tokens"], lm.model, lm("hi")


@use
def an_lm_around_another(dspy):
    class Counting(dspy.BaseLM):
        def __init__(self, inner):
            super().__init__(model=inner.model)
            self.inner, self.calls = inner, 0

        def __call__(self, prompt=None, messages=None, **kwargs):
            self.calls += 1
            return self.inner(prompt=prompt, messages=messages, **kwargs)

    lm = Counting(dummy(dspy, [{"answer": "x"}, {"answer": "y"}]))
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        program = dspy.Predict("q -> answer")
        return program(q="?").answer, program(q="??").answer, lm.calls


@use
def copies_of_an_lm(dspy):
    lm = dspy.LM("openai/gpt-4o-mini", temperature=0.3, max_tokens=50, api_key="k")
    other = lm.copy(temperature=0.9, rollout_id=1)
    return (
        other.kwargs["temperature"],
        lm.kwargs["temperature"],
        other.model,
        other.kwargs["max_tokens"],
        lm.model_type,
        lm.cache,
    )


@use
def a_type_of_a_user(dspy):
    class Event(dspy.Type):
        name: str
        day: dt.date

        def format(self):
            return [{"type": "text", "text": f"{self.name} on {self.day:%d.%m.%Y}"}]

    lm = dummy(dspy, [{"answer": "x"}])
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        dspy.Predict(dspy.Signature({"event": (Event, dspy.InputField()), "answer": (str, dspy.OutputField())}))(
            event=Event(name="Fair", day=dt.date(2025, 5, 1))
        )
    content = lm.history[-1]["messages"][-1]["content"]
    return (
        any("Fair on 01.05.2025" in part.get("text", "") for part in content) if isinstance(content, list) else content
    )


@use
def a_text_type_of_a_user(dspy):
    class Money(dspy.Type):
        amount: float

        def format(self):
            return f"{self.amount} EUR"

    lm = dummy(dspy, [{"answer": "x"}])
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        dspy.Predict(dspy.Signature({"price": (Money, dspy.InputField()), "answer": (str, dspy.OutputField())}))(
            price=Money(amount=3.5)
        )
    content = lm.history[-1]["messages"][-1]["content"]
    return "3.5 EUR" in str(content)


@use
def outputs_of_many_types(dspy):
    class Level(enum.Enum):
        LOW = "low"
        HIGH = "high"

    class All(dspy.Signature):
        q: str = dspy.InputField()
        level: Level = dspy.OutputField()
        day: dt.date = dspy.OutputField()
        maybe: int | None = dspy.OutputField()
        either: int | str = dspy.OutputField()
        pair: tuple[int, str] = dspy.OutputField()
        words: set[str] = dspy.OutputField()
        anything: Any = dspy.OutputField()
        nested: dict[str, list[float]] = dspy.OutputField()
        bounded: Annotated[int, pydantic.Field(ge=0)] = dspy.OutputField()

    answer = {
        "level": "high",
        "day": "2025-01-02",
        "maybe": "null",
        "either": "5",
        "pair": '[1, "a"]',
        "words": '["a"]',
        "anything": '{"a": 1}',
        "nested": '{"a": [1]}',
        "bounded": "3",
    }
    with asking(dspy, [answer]):
        return [str(value) for value in dspy.Predict(All)(q="?").values()]


@use
def enum_by_name(dspy):
    class Level(enum.Enum):
        LOW = 1
        HIGH = 2

    signature = dspy.Signature({"q": (str, dspy.InputField()), "level": (Level, dspy.OutputField())})
    with asking(dspy, [{"level": "HIGH"}]):
        return dspy.Predict(signature)(q="?").level.name


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("use", USES)
def test_the_same(ours, real, use):
    assert use(ours) == in_real(use, real)
