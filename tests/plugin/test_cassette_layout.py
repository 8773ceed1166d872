"""The lines of a cassette: for its readers in a review, for git, and for a file that was damaged."""

import difflib
import json

import pytest
from cassette_files import calls_in, in_the_first_format
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_dspex.cassettes.entry import CassetteError, Entry
from pytest_dspex.cassettes.journal import Journal
from pytest_dspex.cassettes.layout import read_cassette, write_cassette
from pytest_dspex.cassettes.parts import Packing, Unpacking
from pytest_dspex.cassettes.store import CassetteStore

SYSTEM = "Classify the message of the customer by what it is about, and reply with one word. " * 3
DEMOS = [
    {"role": role, "content": f"{text} {n}"} for n in range(8) for role, text in (("user", "demo"), ("assistant", "is"))
]


def call(case, *, answer="database", asked="My card is lost", system=SYSTEM, key=None):
    request = {
        "config": {"temperature": 0.0},
        "messages": [{"role": "system", "content": system}, *DEMOS, {"role": "user", "content": f"{asked} {case}"}],
    }
    response = {"outputs": [{"text": answer, "finish_reason": "stop"}], "model": "m", "usage": {"prompt_tokens": 9}}
    return Entry(key or f"key-of-{case}", "test/model", case, request, response)


def over_http(case, **body):
    request = {"method": "POST", "url": "https://api.example.com/v1/chat", "body": {"model": "m", **body}}
    return Entry(f"http-{case}", "m", case, request, {"status": 200, "headers": {}, "body": {"id": "1"}})


def written(path, *entries):
    write_cassette(path, entries)
    return path.read_text(encoding="utf-8").splitlines()


def changes(before, after):
    lines = list(difflib.unified_diff(before, after, n=0, lineterm=""))[2:]
    return [line for line in lines if not line.startswith("@@")]


# for reviewers


def test_a_prompt_that_all_calls_share_is_in_one_line(tmp_path):
    lines = written(tmp_path / "c.jsonl", *(call(f"e{n:03}") for n in range(200)))
    assert sum(SYSTEM in line for line in lines) == 1
    assert sum("demo 3" in line for line in lines) == 1
    assert max(map(len, lines[5:])) < 400


@pytest.mark.parametrize(
    "shared",
    [
        {"messages": [{"role": "system", "content": SYSTEM}]},
        {"system": SYSTEM, "messages": []},
        {"systemInstruction": {"parts": [{"text": SYSTEM}]}, "contents": []},
        {"instructions": SYSTEM, "input": []},
        {"preamble": SYSTEM, "messages": []},
        {"tools": [{"name": "search", "description": SYSTEM}], "messages": []},
    ],
    ids=["openai", "anthropic", "gemini", "responses", "cohere", "tools"],
)
def test_of_http_requests_the_shared_part_is_in_one_line_whatever_the_api(tmp_path, shared):
    def body(n):
        turns = next(name for name in ("contents", "input", "messages") if name in shared)
        return {**shared, turns: [*shared[turns], {"role": "user", "content": f"question {n}"}]}

    lines = written(tmp_path / "c.jsonl", *(over_http(str(n), **body(n)) for n in range(5)))
    assert sum(SYSTEM in line for line in lines) == 1
    assert sum("question 3" in line for line in lines) == 1


def test_a_conversation_that_goes_on_keeps_its_long_turns_once(tmp_path):
    turns = [{"role": "user", "content": f"turn {n}: {SYSTEM}"} for n in range(6)]
    lines = written(tmp_path / "c.jsonl", *(over_http(str(n), messages=turns[: n + 1]) for n in range(6)))
    assert max(sum(f"turn {n}:" in line for line in lines) for n in range(6)) == 2  # as the last, before others


def test_a_changed_answer_is_one_short_line_that_begins_with_it(tmp_path):
    calls = [call(f"e{n:02}") for n in range(12)]
    before = written(tmp_path / "c.jsonl", *calls)
    calls[7] = call("e07", answer="ui")
    gone, new = changes(before, written(tmp_path / "c.jsonl", *calls))
    assert gone.startswith('-{"case": "e07", "reply": {"outputs": [{"text": "database"')
    assert new.startswith('+{"case": "e07", "reply": {"outputs": [{"text": "ui"')
    assert len(new) < 250


def test_one_more_call_changes_no_line_of_the_others(tmp_path):
    before = written(tmp_path / "c.jsonl", call("e1"))
    after = written(tmp_path / "c.jsonl", call("e1"), call("e2"), over_http("e3", messages=[{"content": "hi"}]))
    assert all(line.startswith("+") for line in changes(before, after))


def test_equal_requests_are_in_the_order_in_which_they_were_made(tmp_path):
    request, response = call("e1").request, call("e1").response
    calls = [Entry(f"{9 - n}", "m", "e1", request, {**response, "n": n}, n) for n in range(3)]
    lines = written(tmp_path / "c.jsonl", *calls)
    assert [json.loads(line)["reply"]["n"] for line in lines if '"reply"' in line] == [0, 1, 2]
    assert sum('"asks"' in line for line in lines) == 1


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just("long " * 300),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.sampled_from(["$part", "$parts", "$literal"]), inner, max_size=3)
    ),
    max_leaves=8,
)
sections = st.sampled_from(["messages", "contents", "input", "body", "tools", "config", "$part", "$parts", "$literal"])
turns = st.lists(st.dictionaries(st.sampled_from(["role", "content", "$parts"]), any_json), max_size=4)


@settings(deadline=None)
@given(st.dictionaries(sections, any_json | turns | st.dictionaries(sections, any_json | turns), max_size=4))
def test_any_request_is_put_together_again_as_it_was(request):
    packing = Packing()
    packed = json.loads(json.dumps(packing.packed(request)))
    assert Unpacking(packing.parts).unpacked(packed) == request


# dates


def test_the_date_of_an_answer_changes_with_the_answer_only(tmp_path):
    path = tmp_path / "c.jsonl"
    store = CassetteStore(path)
    store.add(call("e1"))
    store.save()
    path.write_text(path.read_text().replace(json.loads(path.read_text().splitlines()[-1])["recorded"], "2020-01-01"))
    before = path.read_bytes()
    again = CassetteStore(path)
    again.add(call("e1"))
    again.save()
    assert path.read_bytes() == before
    other = CassetteStore(path)
    other.add(call("e1", answer="ui"))
    other.save()
    assert b"2020-01-01" not in path.read_bytes()


# files of the first format


def first_format(path, *entries):
    write_cassette(path, entries)
    in_the_first_format(path)
    return path


def test_a_file_of_the_first_format_replays_as_it_is(tmp_path):
    path = first_format(tmp_path / "c.jsonl", call("e1"), call("e2"))
    before = path.read_bytes()
    store = CassetteStore(path)
    assert store.lookup("key-of-e2") == call("e2")
    assert not store.save() or path.read_bytes() != before


@pytest.mark.parametrize("adds", [False, True])
def test_a_recording_writes_a_file_of_the_first_format_in_the_format_of_today(tmp_path, adds):
    path = first_format(tmp_path / "c.jsonl", call("e1"), call("e2"))
    store = CassetteStore(path, journal=Journal(path, run="run"))
    store.lookup("key-of-e1")
    if adds:
        store.add(call("e3"))
    assert store.save()
    expected = [call("e1"), call("e2"), *([call("e3")] if adds else [])]
    assert list(read_cassette(path).entries.values()) == expected
    assert json.loads(path.read_text().splitlines()[0]) == {"format": "dspex-cassette", "version": 2}
    assert not CassetteStore(path).save()


def test_lines_of_both_formats_in_one_file_are_read(tmp_path):
    path = first_format(tmp_path / "c.jsonl", call("e1"))
    first = path.read_bytes()
    write_cassette(path, [call("e2")])
    path.write_bytes(path.read_bytes() + first)
    assert [one["case"] for one in calls_in(path)] == ["e1", "e2"]


# damaged files


def refused(path):
    with pytest.raises(CassetteError) as caught:
        CassetteStore(path).lookup("any")
    assert str(caught.value).startswith(f"{path}:{caught.value.line}: ")
    return caught.value


@pytest.mark.parametrize("mark", ["<<<<<<< HEAD", "=======", ">>>>>>> branch", "||||||| base"])
def test_the_mark_of_a_merge_conflict_is_called_that(tmp_path, mark):
    path = tmp_path / "c.jsonl"
    lines = written(path, call("e1"), call("e2"))
    path.write_text("\n".join([*lines[:3], mark, *lines[3:]]) + "\n")
    error = refused(path)
    assert error.line == 4
    assert "a merge conflict of git is not resolved" in str(error)


@pytest.mark.parametrize("is_current", [True, False])
@pytest.mark.parametrize("answer", ["database", "ui"])
def test_two_replies_with_one_key_are_refused(tmp_path, is_current, answer):
    path = tmp_path / "c.jsonl"
    other = written(path, call("e1", answer=answer))[-1]
    write_cassette(path, [call("e1")])
    path.write_text(path.read_text() + other + "\n")
    if not is_current:
        first = [json.dumps(call("e1", answer=text).to_json()) for text in ("database", answer)]
        path.write_text("\n".join(first))
    error = refused(path)
    assert error.line == len(path.read_text().splitlines())
    assert f"is already in line {error.line - 1}" in str(error)


def test_a_part_that_a_merge_has_left_twice_is_read_once(tmp_path):
    path = tmp_path / "c.jsonl"
    lines = written(path, call("e1"))
    path.write_text("\n".join([lines[0], *lines[1:-1], *lines[1:]]))
    assert CassetteStore(path).lookup("key-of-e1") == call("e1")


def test_a_part_or_request_with_two_contents_is_refused(tmp_path):
    path = tmp_path / "c.jsonl"
    lines = written(path, call("e1"))
    for place, line in enumerate(lines[1:-1], 2):
        path.write_text(
            "\n".join([*lines, line.replace("Classify", "Sort").replace("lost", "gone").replace("demo", "try")])
        )
        error = refused(path)
        assert error.line == len(lines) + 1
        assert f"is already in line {place}, with another content" in str(error)


def test_a_reference_to_a_line_that_is_gone_is_refused(tmp_path):
    path = tmp_path / "c.jsonl"
    lines = written(path, call("e1"))
    for gone in range(1, len(lines) - 1):
        path.write_text("\n".join([*lines[:gone], *lines[gone + 1 :]]))
        assert "is not in this file" in str(refused(path))


def test_a_part_within_itself_is_refused(tmp_path):
    path = tmp_path / "c.jsonl"
    lines = written(path, call("e1"))
    part = json.loads(lines[-3])
    lines[-3] = json.dumps({**part, "value": [{"$part": part["part"]}]})
    path.write_text("\n".join(lines))
    assert "refers to itself" in str(refused(path))


def test_a_file_of_a_later_version_asks_for_an_upgrade(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_text('{"format": "dspex-cassette", "version": 3}\n')
    assert "upgrade" in str(refused(path))


def test_any_cut_of_a_file_is_refused_or_leaves_whole_calls(tmp_path):
    path = tmp_path / "c.jsonl"
    written(path, call("e1"), call("e2"))
    data, known = path.read_bytes(), [call("e1"), call("e2")]
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        try:
            found = list(read_cassette(path).entries.values())
        except CassetteError:
            continue
        assert all(entry in known for entry in found)
