from __future__ import annotations

import datetime as dt
import enum
import json
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model

from dspex_core.adapters import Adapter, ChatAdapter, CompiledPrompt, JSONAdapter, TwoStepAdapter, XMLAdapter
from dspex_core.adapters.base import INCOMPLETE
from dspex_core.adapters.shown_fields import NOT_SUPPLIED
from dspex_core.errors import AdapterParseError, SignatureError
from dspex_core.example import Example
from dspex_core.lm.scripted import ScriptedLM
from dspex_core.messages import Message
from dspex_core.signatures.signature import InputField, OutputField, Signature, make_signature

RELAXED = settings(deadline=None)  # the first example may pay for an import
ADAPTERS = [
    ChatAdapter(),
    JSONAdapter(),
    JSONAdapter(outlines_types=True),
    XMLAdapter(),
    TwoStepAdapter(ScriptedLM([])),
]


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Person(BaseModel):
    name: str
    age: int = Field(default=1, ge=0, description="in years")
    friend: Person | None = None


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Classify(Signature):
    """Classify the text."""

    text: str = InputField(desc="what the customer wrote")
    limit: int = InputField(default=3)
    label: Literal["good", "bad"] = OutputField(desc="the mood")
    tags: list[str] = OutputField()


DEMO = {"text": "fine", "limit": 1, "label": "good", "tags": ["a"]}


@pytest.fixture(params=ADAPTERS, ids=lambda adapter: type(adapter).__name__)
def adapter(request) -> Adapter:
    return request.param


def writer(adapter: Adapter, signature: type[Signature]) -> Adapter:
    """Return the adapter in whose format the replies are that `adapter` parses."""
    extraction = adapter.extraction(signature)
    return adapter if extraction is None else extraction.adapter


def texts(messages) -> list[str]:
    return [message["content"] for message in messages]


# What all have in common


def test_format_is_system_demos_and_the_call(adapter):
    messages = adapter.format(Classify, [DEMO, DEMO], {"text": "so so"})
    assert [message["role"] for message in messages] == ["system", *["user", "assistant"] * 2, "user"]
    assert all(part in messages[2]["content"] for part in ("label", "good", "tags", '["a"]'))
    assert "so so" in messages[-1]["content"]


def test_system_message_has_instructions_names_types_and_descriptions(adapter):
    system = adapter.system(Classify)
    for part in (
        "Classify the text.",
        "what the customer wrote",
        "int",
        'one of "good", "bad"',
        "list[str]",
        "the mood",
    ):
        assert part in system


def test_compiled_prompt_gives_the_messages_of_format(adapter):
    prompt = adapter.compile(Classify, [DEMO, {**DEMO, "text": "other"}])
    user = adapter.user(Classify, {"text": "x"})
    expected = adapter.format(Classify, [DEMO, {**DEMO, "text": "other"}], {"text": "x"})
    assert [message.to_json() for message in prompt.messages(user)] == expected
    assert prompt == adapter.compile(Classify, [DEMO, {**DEMO, "text": "other"}])


def test_chosen_demos_come_in_the_order_chosen(adapter):
    demos = [{**DEMO, "text": f"demo {number}"} for number in range(3)]
    prompt = adapter.compile(Classify, demos)
    user = adapter.user(Classify, {"text": "x"})
    assert prompt.messages(user, [2, 0]) == (prompt.system, *prompt.demos[2], *prompt.demos[0], user)
    assert prompt.messages(user, []) == (prompt.system, user)


def test_defaults_stand_in_for_inputs_not_given(adapter):
    assert adapter.user(Classify, {"text": "x"}) == adapter.user(Classify, {"text": "x", "limit": 3})
    assert adapter.user(Classify, {"text": "x"}) != adapter.user(Classify, {"text": "x", "limit": 4})


def test_values_that_the_signature_does_not_know_are_left_out(adapter):
    assert "secret" not in adapter.user(Classify, {"text": "x", "other": "secret"}).content
    assert "secret" not in adapter.assistant(Classify, {**DEMO, "other": "secret"}).content


def test_incomplete_demo_says_that_something_is_not_supplied(adapter):
    [user, assistant] = adapter.compile(Classify, [{"text": "fine", "label": "good"}]).demos[0]
    assert user.content.startswith(INCOMPLETE)
    assert "good" in assistant.content
    assert NOT_SUPPLIED in assistant.content


def test_demo_that_lacks_only_a_defaulted_input_is_complete(adapter):
    [user, _] = adapter.compile(Classify, [{"text": "fine", "label": "good", "tags": []}]).demos[0]
    assert user == Message("user", adapter.inputs(Classify, {"text": "fine"}))


@pytest.mark.parametrize("demo", [{}, {"text": "fine"}, {"label": "good"}, {"question": "q", "answer": "a"}])
def test_demo_without_an_input_or_without_an_output_is_left_out(adapter, demo):
    prompt = adapter.compile(Classify, [demo, DEMO])
    assert prompt.demos[0] == ()
    assert len(prompt.messages(Message("user", "x"))) == 4


def test_signature_without_inputs_takes_demos(adapter):
    [user, assistant] = adapter.compile(Signature(" -> joke"), [{"joke": "ha"}]).demos[0]
    assert user.content == ""
    assert "ha" in assistant.content


def test_demos_and_inputs_may_be_examples(adapter):
    example = Example(DEMO).with_inputs("text")
    assert adapter.format(Classify, [example], example) == adapter.format(Classify, [DEMO], DEMO)


def test_values_are_written_as_text_or_json(adapter):
    signature = Signature("value: Any -> a")
    written = {
        "plain": "plain",
        "ünï": "ünï",
        5: "5",
        None: "null",
        True: "true",
        Color.RED: "red",
    }
    for value, text in written.items():
        assert text in adapter.inputs(signature, {"value": value})
    assert '{"name": "Ann", "age": 4, "friend": null}' in adapter.inputs(
        signature, {"value": Person(name="Ann", age=4)}
    )
    assert '["ü", {"a": 1}]' in adapter.inputs(signature, {"value": ["ü", {"a": 1}]})
    assert "Example(a=1)" in adapter.inputs(signature, {"value": [Example(a=1)]})


def test_reply_without_structure_is_a_parse_error(adapter):
    with pytest.raises(AdapterParseError) as caught:
        adapter.parse(Signature("question -> answer"), "Paris, of course.")
    assert caught.value.missing == ("answer",)
    assert caught.value.adapter_name == type(writer(adapter, Classify)).__name__


def test_adapters_are_values():
    assert ChatAdapter() == ChatAdapter()
    assert ChatAdapter() != ChatAdapter(use_json_adapter_fallback=False)
    assert ChatAdapter() != JSONAdapter()
    assert ChatAdapter() != XMLAdapter()
    assert len({ChatAdapter(), ChatAdapter(), JSONAdapter(), JSONAdapter()}) == 2
    lm = ScriptedLM([])
    assert TwoStepAdapter(lm) == TwoStepAdapter(lm) != TwoStepAdapter(ScriptedLM([]))


@pytest.mark.parametrize("kind", [ChatAdapter, XMLAdapter])
def test_written_formats_fall_back_to_json_unless_opted_out(kind):
    assert kind().fallback == JSONAdapter()
    assert kind(use_json_adapter_fallback=False).fallback is None
    assert JSONAdapter().fallback is None


def test_custom_adapter_needs_only_the_layout():
    class Plain(Adapter):
        def system(self, signature):
            return signature.instructions

        def inputs(self, signature, values):
            return values["question"]

        def assistant(self, signature, outputs):
            return Message("assistant", outputs["answer"])

        def parse(self, signature, text):
            return {"answer": text}

    prompt = Plain().compile(Signature("question -> answer", "Go."), [{"question": "a", "answer": "b"}])
    assert prompt == CompiledPrompt(
        Message("system", "Go."), ((Message("user", "a"), Message("assistant", "b")),), response_schema=None
    )
    assert Plain().user(Signature("question -> answer"), {"question": "c"}) == Message("user", "c")


# The chat format


def test_chat_messages_use_markers():
    system, user, assistant, call = texts(ChatAdapter().format(Classify, [DEMO], {"text": "two\nlines"}))
    assert "[[ ## text ## ]]\n{text}\n\n[[ ## limit ## ]]\n{limit}\n\n[[ ## label ## ]]\n{label}" in system
    assert user == "[[ ## text ## ]]\nfine\n\n[[ ## limit ## ]]\n1"
    assert assistant == '[[ ## label ## ]]\ngood\n\n[[ ## tags ## ]]\n["a"]\n\n[[ ## completed ## ]]'
    assert call.startswith("[[ ## text ## ]]\ntwo\nlines\n\n[[ ## limit ## ]]\n3\n\n")
    assert call.index("[[ ## label ## ]]") < call.index("[[ ## tags ## ]]") < call.index("[[ ## completed ## ]]")


@pytest.mark.parametrize(
    "reply",
    [
        "[[ ## a ## ]]\nx\n\n[[ ## b ## ]]\n1\n\n[[ ## completed ## ]]",
        "[[ ## a ## ]]\nx\n\n[[ ## b ## ]]\n1",
        "[[ ## b ## ]]\n1\n[[ ## a ## ]]\nx",
        "Let me see.\n[[ ## a ## ]] x\n[[ ## b ## ]] 1\n[[ ## completed ## ]]\nDone.",
        "  [[ ## a ## ]]\nx\n\t[[ ## b ## ]]\n1",
        "[[##a##]]\nx\n[[ ## b ##]]\n1",
        "[[ ## a ## ]]\r\nx\r\n[[ ## b ## ]]\r\n1\r\n",
        "[[ ## a ## ]]\nx\n[[ ## b ## ]]\n1\n[[ ## a ## ]]\nagain",
        "[[ ## a ## ]]\nx\n[[ ## other ## ]]\ny\n[[ ## b ## ]]\n```json\n1\n```",
    ],
)
def test_chat_reply_is_read(reply):
    assert ChatAdapter().parse(Signature("q -> a, b: int"), reply) == {"a": "x", "b": 1}


def test_chat_marker_inside_a_line_belongs_to_the_value():
    reply = "[[ ## a ## ]]\nI write [[ ## b ## ]] here\n[[ ## b ## ]]\n2"
    assert ChatAdapter().parse(Signature("q -> a, b: int"), reply) == {"a": "I write [[ ## b ## ]] here", "b": 2}


def test_chat_field_names_may_be_of_any_script_and_even_completed():
    signature = Signature("q -> नाम, completed")
    outputs = {"नाम": "x", "completed": "y"}
    assert ChatAdapter().parse(signature, ChatAdapter().assistant(signature, outputs).content) == outputs


# The XML format


def test_xml_messages_use_tags():
    system, user, assistant, call = texts(XMLAdapter().format(Classify, [DEMO], {"text": "two\nlines"}))
    assert "<text>\n{text}\n</text>\n\n<limit>\n{limit}\n</limit>\n\n<label>\n{label}\n</label>" in system
    assert "[[" not in system
    assert user == "<text>\nfine\n</text>\n\n<limit>\n1\n</limit>"
    assert assistant == '<label>\ngood\n</label>\n\n<tags>\n["a"]\n</tags>'
    assert call.startswith("<text>\ntwo\nlines\n</text>\n\n<limit>\n3\n</limit>\n\n")
    assert '`<label>` (one of "good", "bad"), `<tags>` (list[str])' in call


@pytest.mark.parametrize(
    "reply",
    [
        "<a>\nx\n</a>\n\n<b>\n1\n</b>",
        "<a>x</a><b>1</b>",
        "<b>1</b>\n<a>x</a>",
        "I fill <a> and <b>.\n<a> x </a> <b> 1 </b>\nDone.",
        "<reply><a>x</a><b>1</b></reply>",
        "```xml\n<a>x</a>\n<b>1</b>\n```",
        "<a>x</a>\n<b>```json\n1\n```</b>\n<a>again</a>",
    ],
)
def test_xml_reply_is_read(reply):
    assert XMLAdapter().parse(Signature("q -> a, b: int"), reply) == {"a": "x", "b": 1}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("1 &lt; 2 &amp;&amp; &quot;x&quot;", '1 < 2 && "x"'),
        ('1 < 2 && "x"', '1 < 2 && "x"'),
        ("&amp;lt;", "&lt;"),
        ("use <b>bold</b> & <i>", "use <b>bold</b> & <i>"),
    ],
)
def test_xml_text_may_be_escaped_or_not(content, text):
    assert XMLAdapter().parse(Signature("q -> a, b: int"), f"<a>{content}</a><b>1</b>") == {"a": text, "b": 1}


def test_xml_text_may_contain_its_own_tags():
    signature, outputs = Signature("q -> a"), {"a": "<a>&lt;a></a> and </a>"}
    assert XMLAdapter().parse(signature, XMLAdapter().assistant(signature, outputs).content) == outputs


def test_xml_tag_that_is_not_closed_is_missing():
    with pytest.raises(AdapterParseError) as caught:
        XMLAdapter().parse(Signature("q -> a, b"), "<a>x</a><b>and then")
    assert (caught.value.missing, caught.value.parsed_result) == (("b",), {"a": "x"})


@pytest.mark.parametrize(
    ("type_", "content", "value"),
    [
        (list[str], "<item>a</item><item>b</item>", ["a", "b"]),
        (dict[str, int], '<one>1</one><entry key="two words">2</entry>', {"one": 1, "two words": 2}),
        (dict[str, list[int]], "<n>1</n><n>2</n>", {"n": [1, 2]}),
        (
            Person,
            "<name>Ann &amp; co</name><age>4</age><friend><name>Bo</name></friend>",
            Person(name="Ann & co", age=4, friend=Person(name="Bo")),
        ),
        (list[Person], "<item><name>Ann</name></item>", [Person(name="Ann")]),
    ],
)
def test_xml_nested_elements_are_read_where_json_was_asked_for(type_, content, value):
    signature = Signature({"x": (type_, OutputField())})
    assert XMLAdapter().parse(signature, f"<x>\n{content}\n</x>") == {"x": value}


# The two-step format


def test_two_step_prompt_has_no_format():
    system, user, assistant, call = texts(
        TwoStepAdapter(ScriptedLM([])).format(Classify, [DEMO], {"text": "two\nlines"})
    )
    assert "[[" not in system
    assert "JSON" not in system
    assert user == "text: fine\n\nlimit: 1"
    assert assistant == 'label: good\n\ntags: ["a"]'
    assert call == "text: two\nlines\n\nlimit: 3"


def test_extraction_asks_for_the_same_outputs_from_the_text():
    lm = ScriptedLM([])
    extraction = TwoStepAdapter(lm, JSONAdapter()).extraction(Classify)
    assert (extraction.lm, extraction.adapter) == (lm, JSONAdapter())
    assert list(extraction.signature.input_fields) == ["text"]
    assert extraction.signature.output_fields == Classify.output_fields


def test_extraction_of_an_output_named_text_reads_it_from_another_field():
    signature = TwoStepAdapter(ScriptedLM([])).extraction(Signature("q -> text, text_text")).signature
    assert list(signature.output_fields) == ["text", "text_text"]
    assert len(signature.input_fields) == 1


# The JSON format


def test_json_messages_are_short():
    system, user, assistant, call = texts(JSONAdapter().format(Classify, [DEMO], {"text": "so so"}))
    assert len(system.split()) < 40
    assert user == "text: fine\nlimit: 1"
    assert assistant == '{"label": "good", "tags": ["a"]}'
    assert call == "text: so so\nlimit: 3"


def test_json_inputs_of_several_lines_go_under_markers():
    text = JSONAdapter().inputs(Classify, {"text": "two\nlines", "limit": 1})
    assert text == "[[ ## text ## ]]\ntwo\nlines\n\n[[ ## limit ## ]]\n1"


def test_json_ignores_keys_that_it_did_not_ask_for():
    reply = '{"thoughts": "hm", "label": "good", "tags": []}'
    assert JSONAdapter().parse(Classify, reply) == {"label": "good", "tags": []}


def test_response_schema_requires_every_output_and_no_other():
    schema = JSONAdapter().response_schema(Classify)
    assert schema.name == "Classify"
    assert schema.schema == {
        "type": "object",
        "properties": {
            "label": {"type": "string", "enum": ["good", "bad"]},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["label", "tags"],
        "additionalProperties": False,
    }


def test_response_schema_of_nested_models_is_strict_throughout():
    signature = Signature({"person": (Person | None, OutputField()), "by_name": (dict[str, Person], OutputField())})
    schema = JSONAdapter().response_schema(signature).schema
    assert schema["properties"]["person"] == {"anyOf": [{"$ref": "#/$defs/Person"}, {"type": "null"}]}
    assert schema["properties"]["by_name"]["additionalProperties"] == {"$ref": "#/$defs/Person"}
    assert schema["$defs"]["Person"] == {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer", "minimum": 0},
            "friend": {"anyOf": [{"$ref": "#/$defs/Person"}, {"type": "null"}]},
        },
        "required": ["name", "age", "friend"],
        "additionalProperties": False,
    }


def test_response_schema_tells_models_of_one_name_apart():
    def model(annotation: type) -> type[BaseModel]:
        return type("Item", (BaseModel,), {"__annotations__": {"value": annotation}, "__module__": annotation.__name__})

    signature = Signature({"a": (model(int), OutputField()), "b": (model(str), OutputField())})
    schema = JSONAdapter().response_schema(signature).schema
    kinds = [definition["properties"]["value"]["type"] for definition in schema["$defs"].values()]
    assert sorted(kinds) == ["integer", "string"]


def test_response_schema_keeps_only_what_servers_can_enforce():
    signature = Signature(
        {
            "code": (str, OutputField(pattern="^a", max_length=3, default="a")),
            "count": (int, OutputField(ge=0, lt=9, multiple_of=3)),
            "day": (dt.date, OutputField()),
            "data": (bytes, OutputField()),
            "pair": (tuple[int, str], OutputField()),
            "choice": (Literal["only"], OutputField()),
            "open": (dict[str, Any], OutputField()),
            "pet": (Annotated[Cat | Dog, Field(discriminator="kind")], OutputField()),
        }
    )
    assert JSONAdapter().response_schema(signature).schema["properties"] == {
        "code": {"type": "string"},
        "count": {"type": "integer", "minimum": 0, "exclusiveMaximum": 9, "multipleOf": 3},
        "day": {"type": "string", "format": "date"},
        "data": {"type": "string"},
        "pair": {
            "type": "array",
            "prefixItems": [{"type": "integer"}, {"type": "string"}],
            "minItems": 2,
            "maxItems": 2,
        },
        "choice": {"type": "string", "const": "only"},
        "open": {"type": "object"},
        "pet": {"anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]},
    }


def test_a_text_limit_holds_for_texts_that_other_outputs_follow():
    signature = Signature(
        {
            "reasoning": (str, OutputField()),
            "essay": (str, OutputField(min_length=100)),
            "label": (Literal["good", "bad"], OutputField()),
            "day": (dt.date, OutputField()),
            "letter": (str, OutputField()),
        }
    )
    schema = JSONAdapter(text_limit=50).response_schema(signature).schema
    limits = {name: kind["maxLength"] for name, kind in schema["properties"].items() if "maxLength" in kind}
    assert limits == {"reasoning": 50}


def test_a_longer_text_than_the_limit_is_read_all_the_same():
    signature = Signature("q -> reasoning, label")
    reply = json.dumps({"reasoning": "x" * 60, "label": "good"})
    assert JSONAdapter(text_limit=50).parse(signature, reply)["reasoning"] == "x" * 60


def test_response_schema_has_a_name_that_servers_accept():
    signature = make_signature("q -> a", signature_name="Größe" + "x" * 80)
    assert JSONAdapter().response_schema(signature).name == "Gr__e" + "x" * 59


def test_type_without_json_form_is_a_signature_error():
    signature = Signature({"answer": (Example, OutputField())})
    with pytest.raises(SignatureError, match="`answer` has a type without a JSON form"):
        JSONAdapter().compile(signature, [])


# What an adapter writes it reads back

LINES = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=40).map(str.strip)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: LINES.filter(lambda text: "[[" not in text),
    int: st.integers(),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    Literal["good", "very bad", "'quoted'"]: st.sampled_from(["good", "very bad", "'quoted'"]),
    Color: st.sampled_from(Color),
    list[str]: st.lists(st.text(max_size=10), max_size=3),
    dict[str, int]: st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
    int | None: st.none() | st.integers(),
    Person: st.recursive(
        st.builds(Person, name=st.text(max_size=10), age=st.integers(0, 99)),
        lambda friend: st.builds(Person, name=st.text(max_size=10), age=st.integers(0, 99), friend=friend),
        max_leaves=3,
    ),
}


@st.composite
def signatures_with_outputs(draw) -> tuple[type[Signature], dict[str, Any]]:
    types = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=5))
    fields = {f"field{number}": (type_, OutputField()) for number, type_ in enumerate(types)}
    outputs = {name: draw(VALUES[type_]) for name, (type_, _) in fields.items()}
    return Signature({"question": InputField(), **fields}), outputs


@RELAXED
@given(signatures_with_outputs())
def test_outputs_survive_being_written_and_read(drawn):
    signature, outputs = drawn
    for adapter in ADAPTERS:
        written = writer(adapter, signature).format(signature, [{"question": "q", **outputs}], {"question": "q"})
        assert adapter.parse(signature, written[2]["content"]) == outputs


@RELAXED
@given(signatures_with_outputs())
def test_written_json_follows_the_response_schema(drawn):
    signature, outputs = drawn
    schema = JSONAdapter().response_schema(signature).schema
    written = json.loads(JSONAdapter().assistant(signature, outputs).content)
    assert list(written) == schema["required"] == list(schema["properties"])


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("a -> b: int, c: list[str], d: Optional[float]", True),
        ("a -> b: dict[str, int]", False),
        ("a -> b: list[dict[str, int]]", False),
        ("a -> b: Any", False),
        ("a -> b: dict", False),
    ],
)
def test_only_a_closed_schema_asks_for_strict_mode(signature, expected):
    assert JSONAdapter().response_schema(Signature(signature)).strict is expected


class Branch(BaseModel):
    name: str
    branches: list["Branch"] = []


class Open(BaseModel, extra="allow"):
    name: str = Field(default="x", min_length=1, max_length=9, pattern="x+")


Deep: Any = int
for _number in range(12):
    Deep = create_model(f"Deep{_number}", inner=Deep)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Branch, True),
        (Open, True),
        (list[Literal["a", "b"]] | None, True),
        (Annotated[float, Field(ge=0, lt=1)], True),
        (list, False),
        (tuple[int, str], False),
        (dict[str, int], False),
        (dict[Literal["a"], int] | None, False),
        (Literal["a", 1], False),
        (list[Any], False),
        (int | list[dict[str, str]], False),
        (Deep, False),
        (Literal[tuple(f"choice {number}" for number in range(1001))], False),
        (create_model("Wide", **{f"field_{number}": int for number in range(5001)}), False),
    ],
)
def test_only_types_that_strict_mode_takes_ask_for_it(kind, expected):
    signature = Signature({"q": InputField(), "a": (kind, OutputField())})
    assert JSONAdapter().response_schema(signature).strict is expected


def test_types_can_be_left_out_of_the_json_prompt():
    signature = Signature("text -> label: Literal['a', 'b']", "Choose.").with_updated_fields("label", desc="the mood")
    system = JSONAdapter(shows_types=False).system(signature)
    assert system == "Choose.\n- label: the mood\nReply with a JSON object with: label"
    assert '"a"' in JSONAdapter().system(signature)


def test_types_can_be_outlined_in_the_json_prompt():
    signature = Signature(
        {
            "note": InputField(),
            "people": (list[Person], OutputField(desc="all that are named\nin the note")),
            "sure": (bool | None, OutputField()),
        },
        "Find them.",
    )
    assert JSONAdapter(outlines_types=True).system(signature) == (
        "Find them.\n\n"
        "Inputs:\n- note (str)\n\n"
        "Answer with one JSON object:\n"
        "{\n"
        "  # all that are named\n"
        "  # in the note\n"
        "  people: list[{\n"
        "    name: str\n"
        "    # in years\n"
        "    age: int, at least 0\n"
        "    friend: Person or null\n"
        "  }]\n"
        "  sure: bool or null\n"
        "}"
    )
