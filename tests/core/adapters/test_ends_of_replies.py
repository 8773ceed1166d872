"""Replies that end in the middle of an output: at a limit that the provider names, or without a word."""

import json
from typing import Literal

import pydantic
import pytest

from dspex_core import (
    AdapterParseError,
    ChatAdapter,
    InputField,
    JSONAdapter,
    OutputField,
    Predict,
    ScriptedLM,
    Signature,
    TruncatedReplyError,
    XMLAdapter,
    context,
)
from dspex_core.messages import LMOutput
from dspex_core.messages.functions import FunctionCall


class Pair(pydantic.BaseModel):
    a: int
    b: int


WHOLE = {
    int: 125,
    float: 1.25,
    bool: True,
    list[int]: [1, 2, 125],
    list[str]: ["ab", "cdef"],
    dict[str, int]: {"a": 1, "b": 125},
    Pair: {"a": 1, "b": 125},
    Literal["not_ok", "not", "ok"]: "not_ok",
    int | None: 125,
}
ADAPTERS = {"chat": ChatAdapter(), "json": JSONAdapter(), "xml": XMLAdapter()}


def asked(kind):
    return Signature(
        {"question": (str, InputField()), "why": (str, OutputField()), "found": (kind, OutputField())}, "Answer."
    )


def written(form, outputs):
    if form == "json":
        return json.dumps(outputs)
    shown = {name: value if isinstance(value, str) else json.dumps(value) for name, value in outputs.items()}
    if form == "xml":
        return "\n".join(f"<{name}>\n{text}\n</{name}>" for name, text in shown.items())
    return "\n\n".join([*(f"[[ ## {name} ## ]]\n{text}" for name, text in shown.items()), "[[ ## completed ## ]]"])


@pytest.mark.parametrize("form", ADAPTERS)
@pytest.mark.parametrize("kind", WHOLE, ids=str)
def test_no_value_but_a_text_is_read_from_a_reply_that_was_cut_off_in_it(form, kind):
    signature, text = asked(kind), written(form, {"why": "some text", "found": WHOLE[kind]})
    with context(adapter=ADAPTERS[form]):
        whole = ADAPTERS[form].parse(signature, text)["found"]
        for end in range(len(text) // 2, len(text)):
            try:
                with context(lm=ScriptedLM([LMOutput(text[:end], "length")])):
                    assert Predict(signature)(question="?").found == whole
            except TruncatedReplyError:
                pass


@pytest.mark.parametrize("form", ADAPTERS)
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (int, '{"why": "x", "found": 12'),
        (float, '{"why": "x", "found": 1.2'),
        (str, '{"why": "x", "found": 12'),
        (Pair, '{"why": "x", "found": {"a": 1, "b": 12'),
        (Pair, '{"why": "x", "found": {"a": 1, "b": 12}'[:-1]),
        (dict[str, int], '{"why": "x", "found": {"a": 1, "b": 12'),
        (dict[str, int], '{"why": "x", "found": {'),
        (Literal["no", "not"], '{"why": "x", "found": no'),
        (Pair, '```json\n{"why": "x", "found": {"a": 1, "b": 12'),
    ],
)
def test_an_object_that_breaks_off_in_a_number_or_a_word_is_not_whole(form, kind, text):
    with pytest.raises(AdapterParseError):
        ADAPTERS[form].parse(asked(kind), text)


@pytest.mark.parametrize(
    "text", ["[[ ## why ## ]]\nx\n[[ ## found ## ]]\n{}", "<why>x</why>\n<found>\n{}", "[[ ## why ## ]]\nuse {{\n{}"]
)
def test_an_object_that_breaks_off_in_another_format_is_not_whole(text):
    with pytest.raises(AdapterParseError):
        ChatAdapter().parse(asked(Pair), text.format('{"a": 1, "b": 12'))


@pytest.mark.parametrize("end", ["}", "\n", "\n```", " "])
def test_an_object_without_its_last_brace_whose_number_has_ended_is_whole(end):
    text = '```json\n{"why": "x", "found": 12' if "`" in end else '{"why": "x", "found": 12'
    assert JSONAdapter().parse(asked(int), text + end)["found"] == 12


def test_a_text_with_an_open_brace_is_whole():
    text = "[[ ## why ## ]]\nuse {\n[[ ## found ## ]]\n12"
    assert ChatAdapter().parse(asked(int), text) == {"why": "use {", "found": 12}


MARKER = "\n\n[[ ## completed ## ]]"


@pytest.mark.parametrize("end", range(2, len(MARKER)))
@pytest.mark.parametrize(("kind", "value"), [(str, "a text"), (list[str], '["ab", "cdef"]'), (int, "12")])
def test_half_a_marker_at_the_end_belongs_to_no_output_whole_or_streamed(end, kind, value):
    signature = asked(kind)
    text = f"[[ ## why ## ]]\nx\n\n[[ ## found ## ]]\n{value}{MARKER[:end]}"
    whole = ChatAdapter().parse(signature, text)["found"]
    assert whole == ChatAdapter().parse(signature, f"[[ ## found ## ]]\n{value}\n\n[[ ## why ## ]]\nx")["found"]
    if kind is str:
        stream = ChatAdapter().field_stream(signature)
        chunks = [chunk for character in text for chunk in stream.feed(character)] + stream.close()
        assert "".join(chunk.text for chunk in chunks if chunk.field == "found") == whole


@pytest.mark.parametrize("arguments", ['{"query": "x"', '{"query": "x", "limit": 1', "{"])
def test_a_call_that_was_cut_off_is_not_made(arguments):
    from dspex_core import ReAct

    calls = []

    def search(query: str = "", limit: int = 0) -> str:
        calls.append(query)
        return "found"

    reply = LMOutput("", "length", tool_calls=(FunctionCall("search", arguments),))
    answer = written("chat", {"reasoning": "r", "answer": "42"})
    with context(
        lm=ScriptedLM([reply, answer], supports_function_calling=True),
        adapter=ChatAdapter(use_native_function_calling=True),
    ):
        assert ReAct("question -> answer", tools=[search])(question="?").answer == "42"
    assert calls == []
