"""Answers that quote whole answers, and replies in which a model goes on with another turn."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspex_core import AdapterParseError, ChatAdapter, JSONAdapter, Signature, XMLAdapter

SIGNATURE = Signature("q -> title, score: int, note")
DRAFT = {"title": "a draft", "score": 0, "note": "not this"}
WORDS = st.text("abc xyz.", min_size=1, max_size=20).map(str.strip).filter(bool)
VALUES = st.fixed_dictionaries({"title": WORDS, "score": st.integers(-9, 99), "note": WORDS})
CHAT = ChatAdapter()
ADAPTERS = [ChatAdapter(), JSONAdapter(), XMLAdapter()]


def written(adapter, values):
    return adapter.assistant(SIGNATURE, values).text


def prefixed(prefix, text):
    return "\n".join(prefix + line for line in text.split("\n"))


QUOTES = {
    "fence": "```\n{}\n```".format,
    "named fence": "```markdown\n{}\n```".format,
    "tildes": "~~~\n{}\n~~~".format,
    "long fence": "````\n```\n{}\n```\n````".format,
    "quote": lambda text: prefixed("> ", text),
    "code": lambda text: "\n" + prefixed("    ", text),
    "nothing": str,
}


def streamed(adapter, signature, reply, size):
    stream = adapter.field_stream(signature)
    chunks = [chunk for start in range(0, len(reply), size) for chunk in stream.feed(reply[start : start + size])]
    chunks += stream.close()
    return {name: "".join(chunk.text for chunk in chunks if chunk.field == name) for name in signature.output_fields}


@pytest.mark.parametrize("quote", QUOTES.values(), ids=QUOTES)
@pytest.mark.parametrize("place", ["title", "note"])
@settings(deadline=None, max_examples=8)
@given(values=VALUES, quoted=VALUES, size=st.integers(3, 200))
def test_an_answer_that_quotes_a_whole_answer_is_read_as_itself(quote, place, values, quoted, size):
    values |= {place: f"The bot wrote:\n{quote(written(CHAT, quoted))}\nwhich is wrong."}
    reply = written(CHAT, values)
    assert CHAT.parse(SIGNATURE, reply) == values
    if quote is not QUOTES["nothing"]:  # such an answer is known by what follows it
        assert streamed(CHAT, SIGNATURE, reply, size) == {name: str(value) for name, value in values.items()}


@pytest.mark.parametrize(
    "reply", ["{0}\n\nNo, this is right:\n```\n{1}\n```", "{0}\n\nNo.\n\n{1}", "```\n{0}\n```\n{1}"]
)
def test_a_correction_is_not_a_quotation(reply):
    values = {"title": "T", "score": 5, "note": "N"}
    assert CHAT.parse(SIGNATURE, reply.format(written(CHAT, DRAFT), written(CHAT, values))) == values


def test_markers_in_a_fence_that_is_not_closed_count():
    reply = "[[ ## title ## ]]\n```\nT\n[[ ## score ## ]]\n5\n[[ ## note ## ]]\nN\n[[ ## completed ## ]]"
    assert CHAT.parse(SIGNATURE, reply) == {"title": "```\nT", "score": 5, "note": "N"}


TURNS = {
    "chatml": "<|im_end|>\n<|im_start|>user\nanother\n<|im_end|>\n<|im_start|>assistant\n",
    "llama": "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nanother<|eot_id|>\n",
    "gemma": "<end_of_turn>\n<start_of_turn>user\nanother<end_of_turn>\n<start_of_turn>model\n",
    "mistral": "</s>[INST] another [/INST]",
    "phi": "<|end|>\n<|user|>\nanother<|end|>\n<|assistant|>\n",
}


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: type(adapter).__name__)
@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
@settings(deadline=None, max_examples=3)
@given(values=VALUES)
def test_an_answer_counts_that_another_turn_follows(adapter, turn, values):
    assert adapter.parse(SIGNATURE, written(adapter, values) + turn + written(adapter, DRAFT)) == values


@pytest.mark.parametrize(
    ("adapter", "question"), [(CHAT, "[[ ## q ## ]]\nanother\n\n"), (XMLAdapter(), "<q>another</q>\n")]
)
def test_an_answer_counts_that_another_question_follows(adapter, question):
    values = {"title": "T", "score": 5, "note": "N"}
    reply, draft = written(adapter, values), written(adapter, DRAFT)
    assert adapter.parse(SIGNATURE, f"{reply}\n\n{question}{draft}") == values
    assert adapter.parse(SIGNATURE, f"{question}{draft}\n\n{question}{reply}") == values  # it repeats the conversation


THOUGHTS = {
    "rationale": "<rationale>{}</rationale>",
    "chain of thought": "<chain-of-thought>{}</chain-of-thought>",
    "inner thoughts": '<inner_thoughts depth="2">{}</inner_thoughts>',
    "draft": "<Draft>{}</Draft>",
    "square": "[thinking]{}[/thinking]",
    "cohere": "<|START_THINKING|>{}<|END_THINKING|>",
    "gemma": "<|channel>thought\n{}<channel|>",
    "fence": "```thinking\n{}\n```\n",
    "harmony without its tokens": "analysisSo: {}assistantfinal",
}


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: type(adapter).__name__)
@pytest.mark.parametrize("thought", THOUGHTS.values(), ids=THOUGHTS)
def test_thinking_in_the_marks_of_other_models_is_no_answer(adapter, thought):
    values = {"title": "T", "score": 5, "note": "N"}
    reply = thought.format(written(adapter, DRAFT)) + written(adapter, values)
    assert adapter.parse(SIGNATURE, reply) == values
    assert streamed(adapter, SIGNATURE, reply, 7)["title"] == "T"
    with pytest.raises(AdapterParseError):
        adapter.parse(SIGNATURE, thought.format(written(adapter, DRAFT)) + "I cannot say.")


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: type(adapter).__name__)
def test_a_word_that_may_begin_thinking_is_a_word_where_nothing_ends_it(adapter):
    values = {"title": "T", "score": 5, "note": "N"}
    assert adapter.parse(SIGNATURE, f"My [analysis] and <plan>: {written(adapter, values)}\nBye.") == values


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Write <answer>x</answer> here", "Write <answer>x</answer> here"),
        (
            "Use\n```xml\n<answer>41</answer>\n```\nas the format",
            "Use\n```xml\n<answer>41</answer>\n```\nas the format",
        ),
        ("<answer>x</answer>", "x"),
        ("<![CDATA[a <answer>x</answer> b]]>", "a <answer>x</answer> b"),
        ("<![CDATA[end with </answer> please]]>", "end with </answer> please"),
    ],
)
def test_tags_inside_an_element_are_text(content, text):
    assert XMLAdapter().parse(Signature("q -> answer"), f"<answer>{content}</answer>") == {"answer": text}


@pytest.mark.parametrize(
    "reply",
    [
        "<answer>42</answer><!-- not <answer>41</answer> -->",
        '<answer title="a > b">42</answer>',
        "**<answer>**42**</answer>**",
        "`<answer>`42`</answer>`",
        "I use <answer> tags: <answer>42</answer>",
    ],
)
def test_an_element_is_found_in_what_surrounds_it(reply):
    assert XMLAdapter().parse(Signature("q -> answer"), reply) == {"answer": "42"}


def test_an_empty_element_of_a_collection_is_empty():
    signature = Signature("q -> tags: list[str], rates: dict[str, int], more: list[list[str]]")
    reply = "<tags></tags><rates/><more><item/><item><item>a</item></item></more>"
    assert XMLAdapter().parse(signature, reply) == {"tags": [], "rates": {}, "more": [[], ["a"]]}
