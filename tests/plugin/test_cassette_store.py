from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cassette_files import calls_in
from hypothesis import given, settings
from hypothesis import strategies as st

from dspex_core.errors import DSPexError
from dspex_core.messages import LMOutput, LMRequest, LMResponse, Message, ResponseSchema, Usage
from pytest_dspex.cassettes.entry import CassetteError, Entry, line_of
from pytest_dspex.cassettes.journal import Journal
from pytest_dspex.cassettes.store import CassetteStore, merge_shards

RUN = "run-1"
on_disk = settings(max_examples=25, deadline=None)

any_text = st.text(
    st.characters(exclude_categories=()) | st.sampled_from('\n\r\x00\x1c\x85\u2028\u2029\ud800\udfff"\\{')
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=6,
)
requests = st.builds(
    LMRequest,
    st.lists(st.builds(Message, st.sampled_from(["system", "user"]), any_text), min_size=1, max_size=3).map(tuple),
    st.dictionaries(any_text, json_values, max_size=3),
    response_schema=st.none() | st.builds(ResponseSchema, any_text, st.dictionaries(any_text, json_values, max_size=2)),
    rollout_id=st.none() | st.integers(0, 3),
)
responses = st.builds(
    LMResponse,
    st.lists(st.builds(LMOutput, any_text, st.none() | any_text), min_size=1, max_size=3).map(tuple),
    model=any_text,
    usage=st.builds(Usage, st.integers(0, 99), st.integers(0, 99)),
    cost=st.none() | st.floats(0, 1),
)
entries = st.builds(
    lambda model, case, request, response: Entry(
        request.key(model, case), model, case, request.to_json(), response.to_json()
    ),
    any_text,
    any_text,
    requests,
    responses,
)
entry_lists = st.lists(entries, min_size=1, max_size=8, unique_by=lambda entry: entry.key)


def entry(key, case="row-1", *, asked="hello", answer="hi", model="test/model"):
    return Entry(
        key,
        model,
        case,
        {"messages": [{"role": "user", "content": asked}]},
        {"outputs": [{"text": answer}], "model": model, "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
    )


def cassette(path, *recorded):
    store = CassetteStore(path)
    for one in recorded:
        store.add(one)
    store.save()
    return path


def keys(path):
    return [stored["key"] for stored in calls_in(path)]


def as_json_has_it(value):
    """JSON joins a high and a low surrogate in a row to the one character that they encode."""
    return json.loads(json.dumps(value))


# reading and writing


@on_disk
@given(recorded=entry_lists)
def test_what_was_saved_is_read_back_whatever_the_text_holds(tmp_path_factory, recorded):
    path = cassette(tmp_path_factory.mktemp("store") / "test_fn.jsonl", *recorded)
    again = CassetteStore(path)
    for one in recorded:
        found = again.lookup(one.key)
        assert {**found.to_json(), "recorded": ""} == {**as_json_has_it(one.to_json()), "recorded": ""}
    assert len(again) == len(recorded)
    for line in path.read_text(encoding="utf-8").splitlines():  # which knows every line end
        json.loads(line)


@on_disk
@given(recorded=entry_lists, data=st.data())
def test_the_order_of_the_calls_does_not_change_the_file(tmp_path_factory, recorded, data):
    folder = tmp_path_factory.mktemp("store")
    first = cassette(folder / "first.jsonl", *recorded)
    second = cassette(folder / "second.jsonl", *data.draw(st.permutations(recorded)))
    assert first.read_bytes() == second.read_bytes()


def test_calls_are_readable_and_sorted_by_case_and_key(tmp_path):
    path = cassette(
        tmp_path / "test_fn.jsonl", entry("b", "row-2"), entry("c", "row-1"), entry("a", "row-2", answer="é")
    )
    assert [(stored["case"], stored["key"]) for stored in calls_in(path)] == [
        ("row-1", "c"),
        ("row-2", "a"),
        ("row-2", "b"),
    ]
    assert "é" in path.read_text(encoding="utf-8")
    assert calls_in(path)[1] == entry("a", "row-2", answer="é").to_json()


def test_the_order_of_parameters_does_not_change_the_file(tmp_path):
    one, other = entry("a"), entry("a")
    one.request["config"] = {"temperature": 0, "stop": ("x",)}
    other.request["config"] = {"stop": ["x"], "temperature": 0}
    assert cassette(tmp_path / "1.jsonl", one).read_bytes() == cassette(tmp_path / "2.jsonl", other).read_bytes()


def test_an_absent_file_is_an_empty_store_and_stays_absent(tmp_path):
    store = CassetteStore(tmp_path / "cassettes" / "test_fn.jsonl")
    assert store.lookup("a") is None
    assert len(store) == 0
    assert not store.save(prune=True)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_made_with_the_first_recording(tmp_path):
    path = cassette(tmp_path / "cassettes" / "test_file" / "test_fn.jsonl", entry("a"))
    assert keys(path) == ["a"]
    assert [found.name for found in path.parent.iterdir()] == ["test_fn.jsonl"]


def test_the_file_is_read_at_the_first_use(tmp_path):
    path = tmp_path / "test_fn.jsonl"
    store = CassetteStore(path)
    cassette(path, entry("a"))
    assert store.lookup("a") == entry("a")


def test_nothing_is_written_when_nothing_changed(tmp_path):
    path = cassette(tmp_path / "test_fn.jsonl", entry("a"))
    before = path.stat()
    store = CassetteStore(path)
    store.lookup("a")
    store.add(entry("a"))
    assert not store.save(prune=True)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_saving_again_writes_only_what_came_since(tmp_path):
    store = CassetteStore(tmp_path / "test_fn.jsonl")
    store.add(entry("a"))
    assert store.save()
    assert not store.save()
    store.add(entry("b"))
    assert store.save()
    assert keys(store.path) == ["a", "b"]


def test_an_entry_is_kept_as_it_was_when_it_was_added(tmp_path):
    store, config = CassetteStore(tmp_path / "test_fn.jsonl"), {"stop": ["x"]}
    added = entry("a")
    added.request["config"] = config
    store.add(added)
    config["stop"].append("y")
    assert store.lookup("a").request["config"] == {"stop": ["x"]}


def test_a_file_with_windows_line_ends_and_blank_lines_is_read(tmp_path):
    path = cassette(tmp_path / "test_fn.jsonl", entry("a"), entry("b"))
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n\r\n"))
    assert CassetteStore(path).lookup("b") == entry("b")


@pytest.mark.parametrize(
    "line",
    [
        b'{"key": "a"',
        b"[]",
        b'{"key": "a"}',
        b'{"key": "a", "model": "m", "case": null, "request": {}, "response": {}}',
        b'{"key": "a", "model": "m", "case": "c", "request": {}, "response": {}, "more": 1}',
        b'{"key": "b", "case": "c", "reply": {}}',
        b'{"key": "b", "case": "c", "reply": {}, "request": "r", "n": "1"}',
        b'{"key": "b", "case": "c", "reply": [], "request": "r"}',
        b'"\xff"',
    ],
)
def test_a_malformed_line_is_named_with_its_file_and_what_to_do(tmp_path, line):
    path = cassette(tmp_path / "test_fn.jsonl", entry("a"))
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(CassetteError) as caught:
        CassetteStore(path).lookup("a")
    last = path.read_bytes().count(b"\n")
    assert (caught.value.path, caught.value.line) == (path, last)
    assert str(caught.value).startswith(f"{path}:{last}: not a ")
    assert "--dspex-record=new" in str(caught.value)
    assert isinstance(caught.value, DSPexError)


def test_any_of_ten_thousand_entries_is_found(tmp_path):
    recorded = [entry(f"{n:032x}", f"row-{n}", asked="a fairly long prompt " * 20) for n in range(10_000)]
    path = tmp_path / "test_fn.jsonl"
    path.write_text("".join(json.dumps(one.to_json()) + "\n" for one in recorded), encoding="utf-8")
    store = CassetteStore(path)
    assert [store.lookup(one.key) for one in recorded[::1000]] == recorded[::1000]


# recording anew


def test_the_first_answer_of_a_run_stays(tmp_path):
    store = CassetteStore(tmp_path / "test_fn.jsonl")
    assert store.add(entry("a", answer="first"))
    assert not store.add(entry("a", answer="second"))
    assert store.lookup("a") == entry("a", answer="first")


def test_a_new_answer_replaces_that_of_an_earlier_run(tmp_path):
    path = cassette(tmp_path / "test_fn.jsonl", entry("a", answer="old"))
    store = CassetteStore(path)
    assert store.add(entry("a", answer="new"))
    assert store.save()
    assert CassetteStore(path).lookup("a") == entry("a", answer="new")


def test_a_fresh_lookup_sees_only_what_this_run_added(tmp_path):
    store = CassetteStore(cassette(tmp_path / "test_fn.jsonl", entry("old")))
    store.add(entry("new"))
    assert store.lookup("old", fresh=True) is None
    assert store.lookup("new", fresh=True) == entry("new")
    assert store.lookup("old") == entry("old")


def test_pruning_drops_what_nobody_asked_for(tmp_path):
    path = cassette(tmp_path / "test_fn.jsonl", entry("looked-up"), entry("asked-anew"), entry("unused"))
    store = CassetteStore(path)
    store.lookup("looked-up")
    store.lookup("asked-anew", fresh=True)  # its call failed: the old answer is better than none
    store.add(entry("new"))
    assert store.save(prune=True)
    assert keys(path) == ["asked-anew", "looked-up", "new"]


def test_without_pruning_unused_entries_stay(tmp_path):
    path = cassette(tmp_path / "test_fn.jsonl", entry("unused"))
    store = CassetteStore(path)
    store.add(entry("new"))
    store.save()
    assert keys(path) == ["new", "unused"]


def test_a_cassette_that_nobody_uses_any_more_is_removed(tmp_path):
    path = cassette(tmp_path / "test_fn.jsonl", entry("unused"))
    assert CassetteStore(path).save(prune=True)
    assert not path.exists()


# the nearest recorded request


def test_the_nearest_request_is_the_most_similar_of_the_same_case(tmp_path):
    store = CassetteStore(tmp_path / "test_fn.jsonl")
    store.add(entry("same-text", "row-2", asked="Classify: my card is lost"))
    store.add(entry("nearest", "row-1", asked="Classify: my card was lost"))
    store.add(entry("far", "row-1", asked="Now explain in one sentence"))
    asked = {"messages": [{"role": "user", "content": "Classify: my card is lost"}]}
    assert store.nearest(asked, "row-1").key == "nearest"


def test_a_case_without_entries_is_compared_with_the_others(tmp_path):
    store = CassetteStore(tmp_path / "test_fn.jsonl")
    store.add(entry("a", "row-1", asked="Classify: my card is lost"))
    store.add(entry("b", "row-2", asked="Classify: top up failed"))
    assert store.nearest({"messages": [{"role": "user", "content": "Classify: my card is lost!"}]}, "new").key == "a"
    assert store.nearest({"messages": [{"role": "user", "content": "9876 0000 @@"}]}, "new") is None


def test_equal_last_messages_are_told_apart_by_the_whole_request(tmp_path):
    store = CassetteStore(tmp_path / "test_fn.jsonl")

    def with_system(text):
        return {"messages": [{"role": "system", "content": text}, {"role": "user", "content": "hi"}]}

    store.add(dataclasses.replace(entry("a"), request=with_system("You sort mail.")))
    store.add(dataclasses.replace(entry("b"), request=with_system("You write verse.")))
    assert store.nearest(with_system("You write a verse."), "row-1").key == "b"
    assert store.nearest(with_system("You sort the mail."), "row-1").key == "a"


def test_requests_without_messages_are_compared_by_their_json(tmp_path):
    store = CassetteStore(tmp_path / "test_fn.jsonl")
    store.add(dataclasses.replace(entry("a"), request={"body": {"input": ["one text"]}}))
    store.add(dataclasses.replace(entry("b"), request={"body": {"input": ["another thing"]}}))
    assert store.nearest({"body": {"input": ["one text more"]}}, "row-1").key == "a"


def test_an_empty_store_has_no_nearest_request(tmp_path):
    assert CassetteStore(tmp_path / "test_fn.jsonl").nearest({"messages": []}, "row-1") is None


# shards of xdist workers and of killed runs


def recording(path, run=RUN):
    return CassetteStore(path, journal=Journal(path, run=run))


def dated(recorded):
    return dataclasses.replace(recorded, recorded=dt.datetime.now(dt.UTC).date().isoformat())


def shard(path, *entries, owner):
    """Write a shard as another process does that is gone by now: nobody holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    left = path.with_name(f"{path.name}.{owner}.shard")
    left.write_bytes("".join(f"{line_of(one.to_json())}\n" for one in entries).encode())
    return left


@on_disk
@given(recorded=entry_lists, data=st.data())
def test_merged_shards_equal_a_serial_recording(tmp_path_factory, recorded, data):
    old = [dataclasses.replace(one, response={"outputs": []}) for one in recorded[::2]] + [entry("unused")]
    workers = data.draw(st.lists(st.integers(0, 2), min_size=len(recorded), max_size=len(recorded)))
    folder = tmp_path_factory.mktemp("shards")
    serial, parallel = cassette(folder / "serial.jsonl", *old), cassette(folder / "test_fn.jsonl", *old)
    cassette(serial, *recorded)
    for worker in set(workers):
        own = [dated(one) for one, owner in zip(recorded, workers, strict=True) if owner == worker]
        shard(parallel, *own, owner=f"{RUN}-{worker}")
    merge_shards([folder], run=RUN)
    assert parallel.read_bytes() == serial.read_bytes()
    assert list(folder.glob("*.shard")) == []


def test_what_is_recorded_is_in_the_shard_at_once_and_in_the_file_when_it_is_saved(tmp_path):
    path = cassette(tmp_path / "test_fn.jsonl", entry("a"))
    before = path.read_bytes()
    store = recording(path)
    store.add(entry("b"))
    (left,) = tmp_path.glob("*.shard")
    assert [stored["key"] for stored in calls_in(left)] == ["b"]
    assert path.read_bytes() == before
    assert store.save()
    assert keys(path) == ["a", "b"]
    assert list(tmp_path.glob("*.shard")) == []


def test_a_recording_that_adds_nothing_writes_no_shard(tmp_path):
    store = recording(tmp_path / "test_fn.jsonl")
    store.lookup("a")
    store.keep_shard()
    assert list(tmp_path.iterdir()) == []


def test_merging_goes_through_subdirectories_and_returns_the_cassettes_that_changed(tmp_path):
    changed, same = tmp_path / "test_a" / "test_fn.jsonl", cassette(tmp_path / "test_b" / "test_fn.jsonl", entry("a"))
    shard(changed, entry("new"), owner=f"{RUN}-1")
    shard(same, entry("a"), owner=f"{RUN}-1")
    assert merge_shards([tmp_path, tmp_path / "test_a"], run=RUN) == [changed.resolve()]
    assert list(tmp_path.rglob("*.shard")) == []


@pytest.mark.parametrize("tail", [b"", b'{"key": "half', b'{"key": "half", "request": {"text": "\xc3'])
def test_the_next_recording_takes_over_what_a_killed_run_has_left(tmp_path, tail):
    path = cassette(tmp_path / "test_fn.jsonl", entry("a"))
    left = shard(path, entry("paid"), owner="killed-7")
    left.write_bytes(left.read_bytes() + tail)
    store = recording(path)
    assert store.lookup("paid") == entry("paid")
    assert not left.exists()
    assert keys(path) == ["a", "paid"]


def test_a_merge_takes_over_what_killed_runs_have_left(tmp_path):
    path = cassette(tmp_path / "test_fn.jsonl", entry("a"))
    shard(path, entry("paid"), owner="killed-7")
    shard(path, entry("new"), owner=f"{RUN}-1")
    assert merge_shards([tmp_path], run=RUN) == [path.resolve()]
    assert keys(path) == ["a", "new", "paid"]
    assert list(tmp_path.glob("*.shard")) == []


def test_the_shards_of_a_run_that_goes_on_are_left_alone(tmp_path):
    path = cassette(tmp_path / "test_fn.jsonl", entry("a"))
    other = recording(path, run="other")
    other.add(entry("others"))
    merge_shards([tmp_path], run=RUN)
    assert recording(path).lookup("others") is None
    assert len(list(tmp_path.glob("*.shard"))) == 1
    other.add(entry("later"))
    assert other.save()
    assert keys(path) == ["a", "later", "others"]


def test_recordings_at_the_same_time_keep_what_each_other_adds(tmp_path):
    path = cassette(tmp_path / "test_fn.jsonl", entry("a"), entry("unused"))
    one, two = recording(path, run="one"), recording(path, run="two")
    one.lookup("a")
    one.add(entry("1"))
    two.add(entry("2"))
    assert two.save()
    assert one.save(prune=True)
    assert keys(path) == ["1", "2", "a"]


def test_pruning_at_the_merge_keeps_what_any_worker_asked_for(tmp_path):
    whole = cassette(tmp_path / "test_whole.jsonl", entry("a"), entry("b"), entry("unused"))
    partly = cassette(tmp_path / "test_partly.jsonl", entry("a"), entry("b"))
    silent = cassette(tmp_path / "test_silent.jsonl", entry("unused"))
    changed = merge_shards([tmp_path], run=RUN, asked={whole: {"a", "b"}, silent: set()})
    assert set(changed) == {whole.resolve(), silent.resolve()}
    assert keys(whole) == ["a", "b"]
    assert keys(partly) == ["a", "b"]
    assert not silent.exists()


@pytest.mark.parametrize("text", ["not json\n", '{"key": "a"}\n'])
def test_a_damaged_shard_is_named_and_no_shard_is_lost(tmp_path, text):
    path = tmp_path / "test_fn.jsonl"
    good = shard(path, entry("a"), owner=f"{RUN}-0")
    damaged = tmp_path / f"test_fn.jsonl.{RUN}-1.shard"
    damaged.write_text(text, encoding="utf-8")
    with pytest.raises(CassetteError) as caught:
        merge_shards([tmp_path], run=RUN)
    assert caught.value.path == damaged.resolve()
    assert good.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_loses_nothing_that_was_there(tmp_path, monkeypatch):
    path = cassette(tmp_path / "test_fn.jsonl", entry("a"))
    before = path.read_bytes()
    (tmp_path / f"test_fn.jsonl.{RUN}-{os.getpid()}.shard").symlink_to("/dev/full")
    store = recording(path)
    store.add(entry("b"))
    assert store.lookup("b") == entry("b")  # the run goes on
    assert path.read_bytes() == before
    assert store.save()  # and what is saved at its end is whole
    assert keys(path) == ["a", "b"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_a_forked_child_records_is_kept(tmp_path):
    path = tmp_path / "test_fn.jsonl"
    store = recording(path)
    store.add(entry("parent"))
    if (child := os.fork()) == 0:
        store.add(entry("child"))
        os._exit(0)
    os.waitpid(child, 0)
    assert store.save()
    assert keys(path) == ["child", "parent"]
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


# threads and crashes


def test_threads_that_record_and_look_up_lose_nothing(tmp_path):
    recorded = [entry(f"{n:03}", f"row-{n % 7}") for n in range(400)]
    store = CassetteStore(tmp_path / "test_fn.jsonl")

    def work(one):
        store.add(one)
        if int(one.key) % 50 == 0:
            store.save()
        return store.lookup(one.key)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, recorded)) == recorded
    store.save()
    assert store.path.read_bytes() == cassette(tmp_path / "serial.jsonl", *recorded).read_bytes()


def test_of_threads_that_answer_the_same_request_one_is_taken(tmp_path):
    store, start = CassetteStore(tmp_path / "test_fn.jsonl"), threading.Barrier(8)

    def work(n):
        start.wait()
        return store.add(entry("a", answer=str(n))), store.lookup("a")

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert [taken for taken, _ in results].count(True) == 1
    assert all(found == results[0][1] for _, found in results)


SAVE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from pytest_dspex.cassettes.entry import Entry
from pytest_dspex.cassettes.store import CassetteStore

path, event_to_die_at, ending = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
store = CassetteStore(path)
store.lookup("a")
store.add(Entry("b", "m", "c", {}, {}))

seen = []

def die(event, args):
    if event == event_to_die_at and str(args[0]).endswith(ending) and (ending == ".tmp" or "os.rename" in seen):
        os.kill(os.getpid(), signal.SIGKILL)
    seen.append(event)

sys.addaudithook(die)
store.save()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize(
    ("event", "ending", "expected"),
    [("open", ".tmp", ["a"]), ("os.rename", ".tmp", ["a"]), ("open", os.sep + "cassettes", ["b", "a"])],
    ids=["before-writing", "before-replacing", "after-replacing"],
)
def test_a_process_killed_while_it_saves_leaves_the_old_file_or_the_new_one(tmp_path, event, ending, expected):
    path = cassette(tmp_path.resolve() / "cassettes" / "test_fn.jsonl", entry("a"))
    killed = subprocess.run([sys.executable, "-c", SAVE_AND_DIE, path, event, ending], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert keys(path) == expected
    assert CassetteStore(path).lookup("a") == entry("a")


SAVE_FOR_EVER = """
import sys
from pathlib import Path
from pytest_dspex.cassettes.entry import Entry
from pytest_dspex.cassettes.store import CassetteStore

path = Path(sys.argv[1])
for n in range(10**9):
    store = CassetteStore(path)
    for key in range(50):
        store.add(Entry(str(key), "m", str(n), {"text": "x" * 2000}, {}))
    store.save()
    if n == 0:
        print("saved", flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_process_killed_at_any_time_leaves_a_whole_file(tmp_path):
    path = tmp_path / "test_fn.jsonl"
    with subprocess.Popen([sys.executable, "-c", SAVE_FOR_EVER, path], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        time.sleep(0.1)
        process.kill()
    recorded = calls_in(path)
    assert len(recorded) == 50
    assert len({stored["case"] for stored in recorded}) == 1


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.write_text("[" * 100_000, encoding="utf-8")])
def test_a_folder_or_a_deep_line_in_its_place_is_named(tmp_path, make):
    path = tmp_path / "test_fn.jsonl"
    make(path)
    with pytest.raises(CassetteError) as caught:
        CassetteStore(path).lookup("key")
    assert caught.value.path == path
