"""Replies as models decorate them: what an adapter has written itself is read back, whole and while it arrives."""

import json
import re
import time
from datetime import date
from enum import Enum
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from dspex_core import AdapterParseError, ChatAdapter, InputField, JSONAdapter, OutputField, Signature, XMLAdapter


class Level(Enum):
    LOW = "low"
    HIGH = "high"


class Person(BaseModel):
    name: str
    tags: list[str] = []
    born: date | None = None


TEXT = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp")) | st.sampled_from('\n\\"{}<>&`*'), max_size=40
)
PLAIN = TEXT.map(str.strip).filter(lambda text: not any(mark in text for mark in ("[[", "```", "</", "{title}")))
FIELDS = {
    "title": (str, PLAIN),
    "score": (int, st.integers()),
    "sure": (bool, st.booleans()),
    "level": (Level, st.sampled_from(Level)),
    "mood": (Literal["good", "bad"] | None, st.sampled_from(["good", "bad", None])),
    "tags": (list[str], st.lists(PLAIN, max_size=3)),
    "rates": (dict[str, float], st.dictionaries(PLAIN, st.floats(allow_nan=False), max_size=2)),
    "person": (Person, st.builds(Person, name=PLAIN, tags=st.lists(PLAIN, max_size=2), born=st.none() | st.dates())),
    "note": (str, PLAIN),
}
SIGNATURE = Signature({"q": InputField(), **{name: (kind, OutputField()) for name, (kind, _) in FIELDS.items()}})
VALUES = st.fixed_dictionaries({name: values for name, (_, values) in FIELDS.items()})
ADAPTERS = [ChatAdapter(), JSONAdapter(), XMLAdapter()]
BULLET = re.compile(r"(?:[\s\u200b-\u200d\u2060\ufeff>*_#`\"'~+\-\u2022]|\d{1,3}[.)])+")
CUTS = st.lists(st.integers(0, 3000), max_size=30)

DRAFT = {"title": "a draft", "score": 0, "sure": False, "level": "low", "mood": None, "tags": [], "rates": {}}
DRAFT |= {"person": {"name": "nobody"}, "note": "not this"}

# Around the whole reply, in any format. `draft` is another answer in the same format.
AROUND = {
    "nothing": lambda reply, _: reply,
    "prose": lambda reply, _: f"Sure, here it is.\n\n{reply}",
    "byte order mark": lambda reply, _: f"\ufeff{reply}",
    "fence": lambda reply, _: f"```\n{reply}\n```",
    "named fence": lambda reply, _: f"Here:\n```text\n{reply}\n```\n",
    "think": lambda reply, draft: f"<think>\n{draft}\n</think>\n\n{reply}",
    "thinking": lambda reply, draft: f"Well.\n<thinking>{draft}</thinking>{reply}",
    "thoughts": lambda reply, draft: f"<think>{draft}</think>\n<reflection>{draft}</reflection>\n{reply}",
    "square": lambda reply, draft: f"[THINK]{draft}[/THINK]{reply}",
    "harmony": lambda reply, draft: (
        f"<|channel|>analysis<|message|>{draft}<|end|><|start|>assistant<|channel|>final<|message|>{reply}<|return|>"
    ),
    "end of turn": lambda reply, _: f"{reply}<|im_end|>\n",
    "ends": lambda reply, _: f"{reply}\n<end_of_turn></s>",
}
# These are told as they were said first while they arrive.
TAKEN_BACK = {
    "unopened": lambda reply, draft: f"So {draft}\n</think>\n{reply}",
    "corrected": lambda reply, draft: f"{draft}\n\nWait, that is wrong:\n\n{reply}",
}


def marked(before="", after="", inside=str):
    def change(reply):
        for name in (*FIELDS, "completed"):
            reply = reply.replace(f"[[ ## {name} ## ]]", f"{before}[[{inside(f' ## {name} ## ')}]]{after}")
        return reply

    return change


# How models write the marks of a format.
STYLES = {
    ChatAdapter: {
        "bold": marked("**", "**"),
        "italic": marked("_", "_"),
        "heading": marked("### "),
        "list": marked("- "),
        "numbered": marked("1. "),
        "code": marked("`", "`"),
        "bold list": marked("* **", "**:"),
        "spaces": marked(inside=lambda name: name.replace(" ", "")),
        "case": marked(inside=str.title),
        "zero width": marked("\u200b"),
        "unclosed": lambda reply: reply.replace(" ## ]]", " ##"),
        "fullwidth": lambda reply: (
            marked()(reply).replace("[[ ##", "\uff3b\uff3b ##").replace("## ]]", "## \uff3d\uff3d")
        ),
        "escaped": lambda reply: reply.replace("[[ ##", "\\[\\[ ##").replace("## ]]", "## \\]\\]"),
        "behind text": lambda reply: reply.replace("\n\n[[ ## ", " [[ ## "),
    },
    JSONAdapter: {
        "indented": lambda reply: json.dumps(json.loads(reply), indent=2),
        "ascii": lambda reply: json.dumps(json.loads(reply), ensure_ascii=True),
        "in a list": lambda reply: f"[{reply}]",
        "nested": lambda reply: f'{{"result": {reply}}}',
        "case": lambda reply: json.dumps({key.title(): value for key, value in json.loads(reply).items()}),
        "trailing comma": lambda reply: f"{reply[:-1]},}}",
        "as text": json.dumps,
    },
    XMLAdapter: {
        "attributes": lambda reply: tags(reply, '<{} type="x" id=1>', "</{}>"),
        "case": lambda reply: tags(reply, "<{}>", "</{}>", str.title),
        "namespace": lambda reply: tags(reply, "<ns:{}>", "</ns:{}>"),
        "root": lambda reply: f"<response>\n{reply}\n</response>",
    },
}


def tags(reply, begin, end, spelling=str):
    for name in FIELDS:
        reply = reply.replace(f"<{name}>", begin.format(spelling(name))).replace(
            f"</{name}>", end.format(spelling(name))
        )
    return reply


def told(adapter, reply, cuts):
    stream = adapter.field_stream(SIGNATURE)
    at = sorted({0, len(reply), *(cut for cut in cuts if cut < len(reply))})
    chunks = [chunk for start, end in pairwise(at) for chunk in stream.feed(reply[start:end])] + stream.close()
    found = dict.fromkeys(FIELDS, "")
    for name in FIELDS:
        of_field = [chunk for chunk in chunks if chunk.field == name]
        assert [chunk.last for chunk in of_field][-1:] == [True]
        assert sum(chunk.last and not chunk.replaces for chunk in of_field) <= 1
        for chunk in of_field:
            found[name] = chunk.text if chunk.replaces else found[name] + chunk.text
    return found


def check(adapter, reply, values, cuts=None):
    assert adapter.parse(SIGNATURE, reply) == values
    if cuts is not None:
        found = told(adapter, reply, cuts)
        assert {name: found[name] for name in ("title", "note")} == {name: values[name] for name in ("title", "note")}


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: type(adapter).__name__)
@settings(deadline=None)
@given(values=VALUES, around=st.sampled_from(sorted(AROUND)), cuts=CUTS)
def test_an_answer_is_found_in_what_surrounds_it(adapter, values, around, cuts):
    reply, draft = (adapter.assistant(SIGNATURE, outputs).text for outputs in (values, DRAFT))
    check(adapter, AROUND[around](reply, draft), values, cuts)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: type(adapter).__name__)
@settings(deadline=None)
@given(values=VALUES, around=st.sampled_from(sorted(TAKEN_BACK)))
def test_an_answer_that_takes_back_a_draft_is_the_one_that_counts(adapter, values, around):
    reply, draft = (adapter.assistant(SIGNATURE, outputs).text for outputs in (values, DRAFT))
    check(adapter, TAKEN_BACK[around](reply, draft), values)


@pytest.mark.parametrize(
    ("adapter", "style"),
    [(adapter, style) for adapter in ADAPTERS for style in STYLES[type(adapter)].values()],
    ids=[f"{type(adapter).__name__}-{name}" for adapter in ADAPTERS for name in STYLES[type(adapter)]],
)
@settings(deadline=None, max_examples=30)
@given(values=VALUES, cuts=CUTS)
def test_marks_are_found_as_models_write_them(adapter, style, values, cuts):
    # behind text, nobody can tell an answer of such signs alone from the bullet or the emphasis of the mark
    assume(not any(BULLET.fullmatch(line) for name in ("title", "note") for line in values[name].split("\n")))
    check(adapter, style(adapter.assistant(SIGNATURE, values).text), values, cuts)


@settings(deadline=None)
@given(values=VALUES, cuts=CUTS)
def test_every_adapter_reads_the_format_of_the_others(values, cuts):
    for writer in ADAPTERS:
        for reader in ADAPTERS:
            check(reader, writer.assistant(SIGNATURE, values).text, values, cuts)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: type(adapter).__name__)
@pytest.mark.parametrize(
    "text",
    ["write <think>x</think> first", "end with </think>", "[THINK]x[/THINK]", "a <s>b</s>", "see [[ ## x ## ]] there"],
)
def test_a_mark_of_thinking_inside_an_answer_is_text(adapter, text):
    signature = Signature("q -> answer")
    assert adapter.parse(signature, adapter.assistant(signature, {"answer": text}).text) == {"answer": text}


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: type(adapter).__name__)
def test_the_layout_repeated_is_not_an_answer(adapter):
    signature = Signature("q -> title, note")
    values = {"title": "T", "note": "N"}
    layout, reply = (
        adapter.assistant(signature, outputs).text for outputs in ({"title": "{title}", "note": "{note}"}, values)
    )
    for whole in (f"{layout}\n\n{reply}", f"{reply}\n\n{layout}"):
        assert adapter.parse(signature, whole) == values
        stream = adapter.field_stream(signature)
        chunks = [chunk for letter in whole for chunk in stream.feed(letter)] + stream.close()
        assert {n: "".join(c.text for c in chunks if c.field == n) for n in values} == values


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: type(adapter).__name__)
def test_a_reply_that_breaks_off_in_its_thinking_is_no_answer(adapter):
    signature = Signature("q -> answer")
    draft = adapter.assistant(signature, {"answer": "a draft"}).text
    with pytest.raises(AdapterParseError):
        adapter.parse(signature, f"<think>Perhaps {draft}, or rather")


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (r"$\frac{1}{2} \beta$", None),
        (r"\nabla f \rho \times \theta \text{if} \bar x \right) \forall", None),
        (r"\alpha \sum \( \underline{x} \Users", None),
        (r"line\nbreak\ttab \\frac", "line\nbreak\ttab \\frac"),
    ],
)
def test_latex_in_json_keeps_its_backslashes(command, text):
    signature, reply = Signature("q -> answer"), f'{{"answer": "{command}"}}'
    wanted = command if text is None else text
    assert JSONAdapter().parse(signature, reply) == {"answer": wanted}
    stream = JSONAdapter().field_stream(signature)
    chunks = [chunk for letter in reply for chunk in stream.feed(letter)] + stream.close()
    assert "".join(chunk.text for chunk in chunks) == wanted


ONE = [
    ("n: int", "42", 42),
    ("n: int", "```\n1,000\n```", 1000),
    ("sure: bool", "Yes.", True),
    ("tags: list[str]", '["a", "b"]', ["a", "b"]),
    ("tags: list[str]", "- a\n- b", ["a", "b"]),
    ("answer: str", '"Paris"', "Paris"),
]


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: type(adapter).__name__)
@pytest.mark.parametrize(("output", "reply", "value"), ONE)
def test_the_only_output_may_come_without_its_name(adapter, output, reply, value):
    assert list(adapter.parse(Signature(f"q -> {output}"), reply).values()) == [value]


def test_the_fields_of_the_only_model_may_come_without_its_name():
    signature = Signature({"q": InputField(), "person": (Person, OutputField())})
    for reply in ('{"name": "Ann"}', '```json\n{"Name": "Ann"}\n```', '[[ ## person ## ]]\n{"name": "Ann"}'):
        for adapter in ADAPTERS:
            assert adapter.parse(signature, reply) == {"person": Person(name="Ann")}


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: type(adapter).__name__)
@pytest.mark.parametrize("output", ["answer", "answer: str | None", "tags: list[str]", "n: int"])
def test_prose_is_not_taken_for_an_answer(adapter, output):
    with pytest.raises(AdapterParseError):
        adapter.parse(Signature(f"q -> {output}"), "I am sorry,\nbut I cannot help with that.")


XML = [
    ("answer", '<answer type="str">x</answer>', "x"),
    ("answer", "<answer><![CDATA[a < b & c]]></answer>", "a < b & c"),
    ("answer", "<answer>it&#39;s &#x27;5&quot; &eacute; AT&T &unknown;</answer>", "it's '5\" é AT&T &unknown;"),
    ("answer", "<answer/>", ""),
    ("tasks: list[str]", "<tasks><task>a</task></tasks>", ["a"]),
    ("tasks: list[str]", "<tasks><x>a</x><y>b &amp; c</y></tasks>", ["a", "b & c"]),
    ("task: list[str]", "<task>a</task>\n<task>b</task>", ["a", "b"]),
    ("tasks: list[int]", "<tasks>- 1\n- 2</tasks>", [1, 2]),
]


@pytest.mark.parametrize(("output", "reply", "value"), XML)
def test_xml_is_read_as_models_write_it(output, reply, value):
    signature = Signature(f"q -> {output}")
    assert list(XMLAdapter().parse(signature, reply).values()) == [value]
    stream = XMLAdapter().field_stream(signature)
    chunks = [chunk for letter in reply for chunk in stream.feed(letter)] + stream.close()
    if isinstance(value, str):
        assert "".join(chunk.text for chunk in chunks) == value


def test_nested_xml_is_read_by_the_types_of_models():
    signature = Signature({"q": InputField(), "people": (list[Person], OutputField())})
    reply = """<people>
      <person name="Ann"><tags>a</tags><tags>b</tags></person>
      <person><name>Bob</name><tags><tag>c</tag></tags><born>2024-05-01</born></person>
    </people>"""
    ann, bob = Person(name="Ann", tags=["a", "b"]), Person(name="Bob", tags=["c"], born=date(2024, 5, 1))
    assert XMLAdapter().parse(signature, reply) == {"people": [ann, bob]}


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: type(adapter).__name__)
@pytest.mark.parametrize(
    "mark", ["*", " ", "> ", "[[ ## ", "</", "<note>", "<think>", "- a\n", '{"a":', "<|im_end|>", "\\t"]
)
def test_a_reply_full_of_marks_does_not_stall_the_reader(adapter, mark):
    reply, began = mark * (20_000 // len(mark)), time.thread_time()
    with pytest.raises(AdapterParseError):
        adapter.parse(SIGNATURE, reply)
    stream = adapter.field_stream(SIGNATURE)
    for start in range(0, len(reply), 100):
        stream.feed(reply[start : start + 100])
    stream.close()
    assert time.thread_time() - began < 3
