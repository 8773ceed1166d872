"""Adapters that users call and change answer alike in DSPy and in ours: code of users, run with either."""

import asyncio
import json

import pydantic
import pytest
from both import chat, in_real, refused, scripted, sent_to, uses

use, USES = uses()
ADAPTERS = ["ChatAdapter", "JSONAdapter", "XMLAdapter"]


def text_of(messages):
    return "\n".join(str(message["content"]) for message in messages)


def asked_with(dspy, adapter, reply=None, **inputs):
    """Run a program with an adapter; return its answer and what the LM was sent."""
    lm, made = scripted(dspy, [reply or chat(a="yes")]), dspy.Predict("q -> a")
    made.demos = inputs.pop("demos", [])
    with dspy.context(lm=lm, adapter=adapter):
        return made(**(inputs or {"q": "?"})).a, text_of(sent_to(lm))


@use
def called_itself(dspy):
    kind, lm = dspy.Signature("q -> a: int"), scripted(dspy, [chat(a="3"), chat(a="4")])
    adapter = dspy.ChatAdapter()
    return (
        adapter(lm, {}, kind, [], {"q": "?"}),
        adapter(lm=lm, lm_kwargs={}, signature=kind, demos=[{"q": "1", "a": 2}], inputs={"q": "?"}),
    )


@use
def called_without_blocking(dspy):
    kind, lm = dspy.Signature("q -> a: int"), scripted(dspy, ['{"a": 3}'])
    return asyncio.run(dspy.JSONAdapter().acall(lm, {}, kind, [], {"q": "?"}))


@use
def called_with_a_fallback(dspy):
    kind, lm = dspy.Signature("q -> a"), scripted(dspy, ["no field", '{"a": "yes"}', "no field"])
    adapter = dspy.ChatAdapter(use_json_adapter_fallback=False)
    return dspy.ChatAdapter()(lm, {}, kind, [], {"q": "?"}), refused(
        lambda: adapter(lm, {}, kind, [], {"q": "?"}), dspy.AdapterParseError
    )


def overriding(dspy, base, **methods):
    return type("Mine", (getattr(dspy, base),), methods)()


REPLIES = {"ChatAdapter": None, "JSONAdapter": '{"a": "yes"}', "XMLAdapter": "<a>yes</a>"}


@use
def words_of_the_system_message(dspy):
    found = []
    for base in ADAPTERS:
        for hook in ("format_field_description", "format_field_structure", "format_task_description"):
            adapter = overriding(dspy, base, **{hook: lambda self, signature, hook=hook: f"MINE {hook}"})
            answer, sent = asked_with(dspy, adapter, REPLIES[base])
            found.append(
                (
                    base,
                    hook,
                    answer,
                    f"MINE {hook}" in sent,
                    text_of(adapter.format(dspy.Signature("q -> a"), [], {"q": "?"})).count("MINE"),
                )
            )
    return found


@use
def a_system_message_of_ones_own(dspy):
    adapter = overriding(dspy, "ChatAdapter", format_system_message=lambda self, signature: "ALL MINE")
    return asked_with(dspy, adapter)[0], asked_with(dspy, adapter)[1].startswith("ALL MINE")


@use
def the_content_of_users(dspy):
    class Mine(dspy.ChatAdapter):
        def format_user_message_content(self, signature, inputs, prefix="", suffix="", main_request=False):  # noqa: FBT002  DSPy's signature
            made = super().format_user_message_content(signature, inputs, prefix, suffix, main_request)
            return f"BEFORE {inputs['q']} {main_request}\n{made}"

    answer, sent = asked_with(dspy, Mine(), q="one", demos=[{"q": "two", "a": "no"}])
    return answer, "BEFORE one True" in sent, "BEFORE two False" in sent


@use
def the_content_of_assistants(dspy):
    class Mine(dspy.ChatAdapter):
        def format_assistant_message_content(self, signature, outputs, missing_field_message=None):
            return f"SAID {outputs['a']}"

    return "SAID no" in asked_with(dspy, Mine(), q="one", demos=[{"q": "two", "a": "no"}])[1]


@use
def demos_of_ones_own(dspy):
    class Mine(dspy.ChatAdapter):
        def format_demos(self, signature, demos):
            return [{"role": "user", "content": f"DEMOS {len(demos)}"}, {"role": "assistant", "content": "OK"}]

    answer, sent = asked_with(dspy, Mine(), q="one", demos=[{"q": "two", "a": "no"}])
    return answer, "DEMOS 1" in sent, "two" in sent


@use
def what_is_asked_for_at_the_end(dspy):
    found = []
    for base in ADAPTERS:
        adapter = overriding(dspy, base, user_message_output_requirements=lambda self, signature: "PLEASE")
        answer, sent = asked_with(dspy, adapter, REPLIES[base])
        found.append((answer, sent.rstrip().endswith("PLEASE")))
    return found


@use
def a_history_of_ones_own(dspy):
    class Mine(dspy.ChatAdapter):
        def format_conversation_history(self, signature, history_field_name, inputs):
            turns = inputs[history_field_name].messages
            return [{"role": "user", "content": f"{len(turns)} EARLIER"}]

    kind = dspy.Signature(
        {"q": (str, dspy.InputField()), "past": (dspy.History, dspy.InputField()), "a": (str, dspy.OutputField())}
    )
    past = dspy.History(messages=[{"q": "x", "a": "y"}])
    messages = Mine().format(kind, [], {"q": "?", "past": past})
    return [message["role"] for message in messages], messages[1]["content"]


@use
def the_whole_conversation(dspy):
    class Mine(dspy.ChatAdapter):
        def format(self, signature, demos, inputs):
            return [*super().format(signature, demos, inputs), {"role": "user", "content": "AND BRIEFLY"}]

    answer, sent = asked_with(dspy, Mine())
    return answer, sent.endswith("AND BRIEFLY")


@use
def the_reading_of_a_reply(dspy):
    class Mine(dspy.ChatAdapter):
        def parse(self, signature, completion):
            return {name: completion.upper() for name in signature.output_fields}

    return asked_with(dspy, Mine(), "anything")[0]


@use
def an_adapter_from_nothing(dspy):
    class Mine(dspy.Adapter):
        def __init__(self, mark):
            super().__init__()
            self.mark = mark

        def format(self, signature, demos, inputs):
            return [{"role": "user", "content": f"{self.mark} {inputs['q']}"}]

        def parse(self, signature, completion):
            return {"a": completion.strip()}

    return asked_with(dspy, Mine(">"), " yes "), asked_with(dspy, Mine("#"), "no")


@use
def an_adapter_from_the_hooks(dspy):
    class Mine(dspy.Adapter):
        def format_field_description(self, signature):
            return "FIELDS"

        def format_field_structure(self, signature):
            return "STRUCTURE"

        def format_task_description(self, signature):
            return "TASK"

        def format_user_message_content(self, signature, inputs, prefix="", suffix="", main_request=False):  # noqa: FBT002  DSPy's signature
            return f"{prefix}q={inputs['q']}{suffix}"

        def format_assistant_message_content(self, signature, outputs, missing_field_message=None):
            return f"a={outputs.get('a', missing_field_message)}"

        def parse(self, signature, completion):
            return {"a": completion}

    answer, sent = asked_with(dspy, Mine(), "yes", q="one", demos=[{"q": "two", "a": "no"}])
    return answer, sent.split()


@use
def a_call_of_ones_own(dspy):
    class Mine(dspy.ChatAdapter):
        def __call__(self, lm, lm_kwargs, signature, demos, inputs):
            found = super().__call__(lm, lm_kwargs, signature, demos, inputs)
            return [{**each, "a": each["a"].upper()} for each in found]

        async def acall(self, lm, lm_kwargs, signature, demos, inputs):
            found = await super().acall(lm, lm_kwargs, signature, demos, inputs)
            return [{**each, "a": each["a"] + "!"} for each in found]

    with dspy.context(lm=scripted(dspy, [chat(a="yes")] * 2), adapter=Mine()):
        made = dspy.Predict("q -> a")
        return made(q="?").a, asyncio.run(made.acall(q="?")).a


@use
def one_that_is_changed_between_calls(dspy):
    class Mine(dspy.ChatAdapter):
        def format_task_description(self, signature):
            return f"TASK {self.number}"

    adapter, made, sent = Mine(), dspy.Predict("q -> a"), []
    for number in range(2):
        adapter.number = number
        sent.append(text_of(adapter.format(made.signature, [], {"q": "?"})))
    return ["TASK 0" in sent[0], "TASK 1" in sent[1]]


@use
def the_name_of_baml(dspy):
    from importlib import import_module

    class Person(pydantic.BaseModel):
        name: str

    kind = import_module(f"{dspy.__name__}.adapters.baml_adapter").BAMLAdapter
    asked = dspy.Signature({"q": (str, dspy.InputField()), "a": (Person, dspy.OutputField())})
    with dspy.context(lm=scripted(dspy, [json.dumps({"a": {"name": "Ann"}})]), adapter=kind()):
        return dspy.Predict(asked)(q="?").a.name, issubclass(kind, dspy.JSONAdapter)


@use
def replies_in_elements(dspy):
    kind = dspy.Signature("q -> tags: list[str], note: str")
    texts = ["<tags>\n<item>a</item><item>b</item>\n</tags>\n<note>x</note>", '<tags>["a"]</tags><note/>']
    found = []
    for text in texts:
        with dspy.context(lm=scripted(dspy, [text]), adapter=dspy.XMLAdapter(use_json_adapter_fallback=False)):
            found.append(dspy.XMLAdapter().parse(kind, text))
    return found


@pytest.mark.parametrize("use", USES)
def test_the_same(ours, real, use):
    assert use(ours) == in_real(use, real)


def test_types_that_are_to_be_taken_natively(ours):
    assert ours.ChatAdapter(native_response_types=[]).native_response_types == []
    with pytest.warns(UserWarning, match="native_response_types has no effect"):
        assert ours.ChatAdapter(native_response_types=[ours.Reasoning]) == ours.ChatAdapter()
