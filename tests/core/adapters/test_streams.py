"""Outputs told while a reply arrives: whatever the pieces, together they are what the adapter reads."""

import json
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspex_core import AdapterParseError, ChatAdapter, JSONAdapter, Signature, XMLAdapter

SIGNATURE = Signature("question -> thought: str, tags: list[str], answer: str")
ADAPTERS = (ChatAdapter(), JSONAdapter(), XMLAdapter())

# Text that an adapter gives back as it was: marks and surrounding space are told elsewhere.
plain = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\n[]#<>&{}\"'\\ "), max_size=60).map(
    str.strip
)
texts = plain.filter(lambda text: "[[" not in text and "<" not in text and "&" not in text)
cuts = st.lists(st.integers(0, 400), max_size=40)


def pieces(text, cuts):
    at = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    return [text[start:end] for start, end in pairwise(at)]


def told(adapter, reply, cuts=(), names=tuple(SIGNATURE.output_fields)):
    stream = adapter.field_stream(SIGNATURE)
    chunks = [chunk for piece in pieces(reply, cuts) for chunk in stream.feed(piece)] + stream.close()
    assert all(chunk.text or chunk.last for chunk in chunks)
    found = dict.fromkeys(names, "")
    for name in names:
        ended = False
        for chunk in (chunk for chunk in chunks if chunk.field == name):
            assert chunk.replaces or not ended, "only what replaces a draft follows the last piece"
            ended = chunk.last
            found[name] = chunk.text if chunk.replaces else found[name] + chunk.text
    return found, chunks


@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
@given(thought=texts, answer=texts, tags=st.lists(texts, max_size=3), cuts=cuts)
def test_the_pieces_of_an_output_make_up_its_value_wherever_the_reply_is_cut(adapter, thought, answer, tags, cuts):
    outputs = {"thought": thought, "tags": tags, "answer": answer}
    reply = adapter.assistant(SIGNATURE, outputs).text
    found, chunks = told(adapter, reply, cuts)
    read = adapter.parse(SIGNATURE, reply)
    assert found["thought"] == read["thought"]
    assert found["answer"] == read["answer"]
    assert json.loads(found["tags"]) == read["tags"]
    assert [chunk.field for chunk in chunks if chunk.last] == ["thought", "tags", "answer"]


@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
@given(reply=st.text(st.sampled_from('[]# thougsanwer<>/{}":,\\u12\n&;lt'), max_size=120), cuts=cuts)
def test_any_text_can_be_fed(adapter, reply, cuts):
    told(adapter, reply, cuts)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
def test_most_of_a_text_is_told_as_soon_as_it_arrives(adapter):
    reply = adapter.assistant(SIGNATURE, {"thought": "one two three", "tags": [], "answer": "x"}).text
    stream = adapter.field_stream(SIGNATURE)
    until = reply.index("three")
    assert "".join(chunk.text for chunk in stream.feed(reply[:until])) == "one two" + (
        " " if isinstance(adapter, JSONAdapter) else ""
    )
    assert stream.feed(reply[until : until + 2])[0].text.strip() == "th"


@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
def test_an_output_that_breaks_off_is_told_and_ended(adapter):
    reply = adapter.assistant(SIGNATURE, {"thought": "so far so", "tags": [], "answer": "x"}).text
    found, chunks = told(adapter, reply[: reply.index("far") + 3])
    assert found["thought"] == "so far"
    assert [(chunk.field, chunk.last) for chunk in chunks][-1] == ("thought", True)


def test_a_marker_inside_a_line_is_text():
    found, _ = told(
        ChatAdapter(), "[[ ## thought ## ]]\nsee [[ ## answer ## ]] there\n\n[[ ## completed ## ]]", [30, 31, 32]
    )
    assert found["thought"] == "see [[ ## answer ## ]] there"
    assert found["answer"] == ""


OUTPUTS = st.fixed_dictionaries({"thought": texts, "tags": st.lists(texts, max_size=2), "answer": texts})
AROUND = (
    "{draft}\n\nWait, that is wrong.\n\n{final}",
    "<think>\nI could write\n{draft}\n</think>\n{final}",
    "Let me think. <think>{draft}</think>\n\n{final}",
    "{final}\n\nI hope that this helps.",
    "```\n{final}\n```",
    "{layout}\n\n{final}",
    "{draft}\n<think>no ...</think>\n{final}",
    "{final}\n{final}",
)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=repr)
@given(around=st.sampled_from(AROUND), draft=OUTPUTS, final=OUTPUTS, cuts=cuts, written=st.sampled_from(ADAPTERS))
def test_a_revised_draft_is_replaced_wherever_the_reply_is_cut(adapter, around, draft, final, cuts, written):
    layout = {name: f"{{{name}}}" for name in final}
    values = {"draft": draft, "final": final, "layout": layout}
    reply = around.format_map({name: written.assistant(SIGNATURE, each).text for name, each in values.items()})
    try:
        read = adapter.parse(SIGNATURE, reply)
    except AdapterParseError:
        return
    found, chunks = told(adapter, reply, cuts)
    assert [found["thought"], found["answer"]] == [read["thought"], read["answer"]]
    assert json.loads(found["tags"]) == read["tags"]
    assert {chunk.field for chunk in chunks if chunk.last} == set(final)
    if written is adapter and not {"{draft}", "{layout}"} & set(re.findall(r"\{\w+\}", around)):
        assert not any(chunk.replaces for chunk in chunks)


def test_of_two_outputs_with_one_name_the_second_replaces_the_first():
    found, chunks = told(ChatAdapter(), "[[ ## answer ## ]]\none\n[[ ## answer ## ]]\ntwo\n[[ ## completed ## ]]")
    assert found["answer"] == "one", "the reply cannot be read, as it lacks outputs"
    whole = "[[ ## thought ## ]]\na\n[[ ## tags ## ]]\n[]\n[[ ## answer ## ]]\none\n"
    found, chunks = told(ChatAdapter(), whole + whole.replace("one", "two") + "[[ ## completed ## ]]")
    assert found == {"thought": "a", "tags": "[]", "answer": "two"}
    assert [chunk for chunk in chunks if chunk.replaces] == [("answer", "two", True, True)]


def test_xml_entities_are_told_as_what_they_stand_for_however_they_are_cut():
    found, _ = told(XMLAdapter(), "<answer>a &lt;b&gt; &amp; c</answer>", range(40))
    assert found["answer"] == "a <b> & c"


@pytest.mark.parametrize(
    "reply",
    [
        'Sure {here} it is: {"answer": "yes", "tags": []}',
        '```json\n{"tags": [{"a": "}"}], "answer": "yes"}\n```',
        '{"thought": null, "answer": "yes"}',
    ],
)
def test_json_is_found_in_what_surrounds_it(reply):
    assert told(JSONAdapter(), reply, range(60))[0]["answer"] == "yes"


def test_json_data_is_told_as_json():
    found, _ = told(JSONAdapter(), '{"tags": ["a, \\"b", {"c": [1, 2]}], "answer": 12.5 }', range(60))
    assert found["tags"] == '["a, \\"b", {"c": [1, 2]}]'
    assert found["answer"] == "12.5"


def test_json_escapes_are_told_as_what_they_stand_for_however_they_are_cut():
    text = 'tab\t quote" snowman☃ face😀 slash\\'
    reply = json.dumps({"answer": text})  # ASCII: the face is two escapes
    assert told(JSONAdapter(), reply, range(200))[0]["answer"] == text


def test_an_escape_that_json_lacks_is_told_as_it_is():
    assert told(JSONAdapter(), '{"answer": "a\\qb"}')[0]["answer"] == "a\\qb"
